/** Bundles the application into web/dist: each file there runs with Node and nothing beside it. */
import { type BuildOptions, build } from 'esbuild';

/** How web is bundled, and in the bench whatever it is compared with (bench/arms.ts). */
export const BUNDLED = {
  bundle: true,
  platform: 'node',
  target: 'node26',
  // As express, pg and pino are: an ES module takes longer to load (docs/performance.md, as the next).
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  // Half a megabyte less to read. Names are kept: a stack trace tells the functions.
  minifyWhitespace: true,
  minifySyntax: true,
  // pg asks for it only when told to.
  external: ['pg-native'],
  // Nothing is left out: what works with the sources works in the bundle.
  alias: { 'mime-types': './web/src/counter/mime-types.cjs' },
  // No source maps, which would name the lines too: Node reads them at the start and takes 0.1 s longer.
  logLevel: 'warning',
} satisfies BuildOptions;

if (import.meta.main) {
  await build({ ...BUNDLED, entryPoints: ['web/src/main.ts', 'web/src/healthcheck.ts'], outdir: 'web/dist' });
}
