/** The image of an application that does not bundle itself: what works with its sources works in it. */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cp, mkdir, mkdtempDisposable, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, vi } from 'vitest';
import { freePort, LABEL } from '../support/this-checkout.ts';

const run = promisify(execFile);

/** What many applications do, and the counter does not. */
const WHOLE = `
import { readFile } from 'node:fs/promises';
import express from 'express';
const greeting = await readFile(new URL('greeting.txt', import.meta.url), 'utf8');
const { word } = await import('./' + ['late'].join('') + '.ts');
const app = express();
app.set('views', import.meta.dirname + '/views').engine('html', async (path, { name }, done) => {
  done(null, (await readFile(path, 'utf8')).replace('NAME', name));
});
app.post('/json', express.json(), (req, res) => void res.json(req.body));
app.post('/form', express.urlencoded({ extended: true }), (req, res) => void res.json(req.body));
app.get('/send', (_req, res) => void res.send('<p>'));
app.get('/query', (req, res) => void res.json(req.query));
app.get('/template', (req, res) => res.render('page.html', { name: req.query.name }));
app.get('/assets', (_req, res) => void res.send(greeting + word));
app.use(express.static('web/public'));
app.listen(process.env.PORT ?? 8000);
`;

const REQUESTS: [path: string, type?: string, body?: string][] = [
  ['/json', 'application/json', '{"a":[1,"é"]}'],
  ['/json', 'application/json', '{"a":'],
  ['/form', 'application/x-www-form-urlencoded', 'a[b]=1&c=%C3%A9'],
  ['/send'],
  ['/query?a=1&b=2'],
  ['/template?name=you'],
  ['/assets'],
  ['/page.html'],
  ['/page.js'],
];

async function answers(port: number): Promise<unknown[]> {
  return Promise.all(
    REQUESTS.map(async ([path, type, body = null]) => {
      const init = {
        method: body === null ? 'GET' : 'POST',
        headers: type ? { 'Content-Type': type } : {},
        body,
      };
      const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
      // A stack trace tells where the code lies.
      const text = (await response.text()).replaceAll(/<br>.*/g, '');
      return [path, response.status, response.headers.get('content-type'), text];
    }),
  );
}

/** A checkout of an application with this main.ts, and what goes with WHOLE. */
async function checkout(directory: string, main: string): Promise<void> {
  const { scripts: _, ...manifest } = JSON.parse(await readFile('package.json', 'utf8'));
  await writeFile(join(directory, 'package.json'), JSON.stringify(manifest));
  for (const file of ['package-lock.json', '.dockerignore', 'web/Dockerfile', 'web/first-run.ts'])
    await cp(file, join(directory, file));
  for (const file of ['healthcheck.ts', 'config.ts', 'postgres-url.ts', 'reason.ts'])
    await cp(`web/src/${file}`, join(directory, 'web/src', file));
  for (const [file, content] of Object.entries({
    'src/main.ts': main,
    'src/late.ts': "export const word: string = 'late';",
    'src/greeting.txt': 'greeting',
    'src/views/page.html': '<p>NAME',
    'public/page.html': '<script src="page.js"></script>',
    'public/page.js': 'alert(1)',
  })) {
    await mkdir(join(directory, 'web', file, '..'), { recursive: true });
    await writeFile(join(directory, 'web', file), content);
  }
}

/** Builds web's image from it. @throws with what the build wrote. */
async function build(directory: string, image: string): Promise<void> {
  const base = ['--build-arg', `NODE_IMAGE=${process.env.NODE_IMAGE}`];
  await run(
    'docker',
    ['build', '--file', join(directory, 'web/Dockerfile'), ...base, '--tag', image, directory],
    {
      env: { ...process.env, BUILDKIT_PROGRESS: 'plain' },
    },
  );
}

it('answers as the sources do: bodies, queries, files, templates, assets, late imports', {
  timeout: 120_000,
}, async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'image-'));
  await checkout(directory.path, WHOLE);
  const [here, there] = [await freePort(), await freePort()];
  const image = `image-test-${randomBytes(4).toString('hex')}`;
  await symlink(join(process.cwd(), 'node_modules'), join(directory.path, 'node_modules'));
  const sources = spawn(process.execPath, ['web/src/main.ts'], {
    cwd: directory.path,
    env: { PORT: `${here}`, NODE_ENV: 'production' },
  });
  try {
    await build(directory.path, image);
    const options = [
      '--read-only',
      '--cap-drop=ALL',
      '--label',
      LABEL,
      '--publish',
      `127.0.0.1:${there}:8000`,
    ];
    const { stdout: id } = await run('docker', ['run', '--detach', ...options, image]);
    try {
      const expected = await vi.waitFor(() => answers(here), 10_000);
      expect(expected.map((answer) => (answer as [string, number])[1])).toEqual([
        200, 400, 200, 200, 200, 200, 200, 200, 200,
      ]);
      expect(expected[7]).toEqual([
        '/page.html',
        200,
        'text/html; charset=utf-8',
        '<script src="page.js"></script>',
      ]);
      expect(await vi.waitFor(() => answers(there), 10_000)).toEqual(expected);
    } finally {
      await run('docker', ['rm', '--force', id.trim()]);
    }
  } finally {
    sources.kill('SIGKILL');
    await run('docker', ['image', 'rm', '--force', image]);
  }
});

it.each([
  [
    'imports a file that is missing',
    "import './missing.ts';",
    /Cannot find module '\/app\/web\/src\/missing\.ts'/,
  ],
  ['imports a package that is not installed', "import 'left-out';", /Cannot find package 'left-out'/],
  ['throws while it is loaded', "throw new RangeError('out of luck');", /RangeError: out of luck/],
  [
    'ends without a word',
    'process.exit(0);',
    /main\.ts ended in its first run, without a word about its settings/,
  ],
])(
  'is not built of an application that %s, and the build says so',
  { timeout: 120_000 },
  async (_what, main, words) => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'image-'));
    await checkout(directory.path, main);
    const failed = await build(directory.path, 'image-test-none').catch(
      (error: { stderr: string }) => error.stderr,
    );
    expect(failed).toMatch(words);
  },
);
