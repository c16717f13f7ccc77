// Bundles the application into web/dist: each file there runs with Node and nothing beside it.
import { build } from 'esbuild';

await build({
  entryPoints: ['web/src/main.ts', 'web/src/healthcheck.ts'],
  outdir: 'web/dist',
  bundle: true,
  platform: 'node',
  target: 'node26',
  format: 'esm',
  outExtension: { '.js': '.mjs' },
  // express, pg and pino are CommonJS: they call require, which an ES module has not by itself.
  banner: {
    js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
  },
  // No route reads a body, and parsers of bodies are a third of the bundle and some of the start.
  alias: { 'body-parser': './web/no-body-parser.cjs' },
  // pg asks for it only when told to.
  external: ['pg-native'],
  // Not minified: a stack trace names the functions, and a comment above each part of the bundle its file. Source maps
  // would name the lines too, but Node reads them at the start and takes 0.1 s longer.
  logLevel: 'warning',
});
