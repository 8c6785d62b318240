export default {
  files: [`${process.env.RINGRAFT_BUILD ?? 'dist'}/tests/{unit,conformance,simulation}/**/*.test.js`],
  timeout: '2m',
  nodeArguments: ['--enable-source-maps'],
};
