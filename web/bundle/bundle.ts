/** Bundles the application into web/dist: each file there runs with Node and nothing beside it. */
import { copyFile } from 'node:fs/promises';
import { type BuildOptions, build } from 'esbuild';

const OPTIONS = {
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
  alias: { 'mime-types': './web/bundle/mime-types.cjs' },
  // No source maps, which would name the lines too: Node reads them at the start and takes 0.1 s longer.
  logLevel: 'warning',
} satisfies BuildOptions;

/**
 * Bundles each entry point, as web is bundled, into a file that Node runs without node_modules. Throws esbuild's BuildFailure.
 * @param entryPoints sources, by the names of their bundles (without `.cjs`)
 */
export async function bundle(entryPoints: Record<string, string>, outdir: string): Promise<void> {
  await build({ ...OPTIONS, entryPoints, outdir });
}

if (import.meta.main) {
  const status = 'web/src/counter/status';
  await bundle(
    { main: 'web/src/main.ts', healthcheck: 'web/src/healthcheck.ts', status: `${status}/main.ts` },
    'web/dist',
  );
  // For a browser: two files, and a third that names them.
  await build({
    bundle: true,
    minify: true,
    target: ['chrome111', 'firefox115', 'safari16.4'],
    entryPoints: [`${status}/page/page.ts`, `${status}/page/page.css`],
    outdir: 'web/dist/status',
  });
  await copyFile(`${status}/page/index.html`, 'web/dist/status/index.html');
}
