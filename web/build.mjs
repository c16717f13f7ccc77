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
  // pg asks for it only when told to.
  external: ['pg-native'],
  sourcemap: true,
  // Stack traces name the lines of the sources; their text is in the repository, not in the image.
  sourcesContent: false,
  logLevel: 'warning',
});
