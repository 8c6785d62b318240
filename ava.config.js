export default {
  files: [`${process.env.RINGRAFT_BUILD ?? 'dist'}/tests/{unit,conformance,simulation}/**/*.test.js`],
  timeout: '2m',
  // Native addons do not load in several threads of one process.
  workerThreads: false,
  nodeArguments: ['--enable-source-maps'],
};
