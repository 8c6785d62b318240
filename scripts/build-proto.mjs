#!/usr/bin/env node
// Compiles src/proto/*.proto to static code in src/proto/generated, and puts the code where the compiled tree needs it:
// dist, or the directory given as argument. Does nothing when the output is newer than the input.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const source = join(root, 'src', 'proto');
const generated = join(source, 'generated');
const code = join(generated, 'messages.js');
const types = join(generated, 'messages.d.ts');

const protos = readdirSync(source)
  .filter((name) => name.endsWith('.proto'))
  .map((name) => join(source, name));
const newestInput = Math.max(...[...protos, fileURLToPath(import.meta.url)].map((path) => statSync(path).mtimeMs));
const isFresh = [code, types].every((path) => existsSync(path) && statSync(path).mtimeMs > newestInput);

if (!isFresh) {
  mkdirSync(generated, { recursive: true });
  const bin = (name) => join(root, 'node_modules', 'protobufjs-cli', 'bin', name);
  const flags = ['--target', 'static-module', '--wrap', 'es6', '--es6', '--force-number', '--no-create', '--no-verify'];
  const more = ['--no-convert', '--no-delimited', '--no-typeurl', '--no-service', '--no-beautify'];
  execFileSync(process.execPath, [bin('pbjs'), ...flags, ...more, '--out', code, ...protos], { stdio: 'inherit' });
  execFileSync(process.execPath, [bin('pbts'), '--no-comments', '--out', types, code], { stdio: 'inherit' });
  // protobufjs is a CommonJS package without an export map: Node's ES modules need the file and the default export.
  const text = readFileSync(code, 'utf8').replace(
    /^import .* from\s*["']protobufjs\/minimal(?:\.js)?["'];?$/m,
    // Without the long library 64-bit fields are plain numbers: ours stay below 2^53.
    'import $protobuf from "protobufjs/minimal.js";\n$protobuf.util.Long = null;\n$protobuf.configure();',
  );
  writeFileSync(code, text);
}

const target = join(resolve(root, process.argv[2] ?? 'dist'), 'src', 'proto', 'generated');
mkdirSync(target, { recursive: true });
copyFileSync(code, join(target, 'messages.js'));
