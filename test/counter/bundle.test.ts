import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { bundle } from '../../web/bundle/bundle.ts';

const LATIN1 = Buffer.from('é', 'latin1');
const REQUESTS: [path: string, type?: string, body?: string | Buffer<ArrayBuffer>][] = [
  ['/json', 'application/json; charset=utf-8', '{"a":[1,"é"]}'],
  ['/json', 'application/json', '{"a":'],
  ['/form', 'application/x-www-form-urlencoded', 'a[b]=1&c=%E9'],
  ['/text', 'text/plain', Buffer.from(LATIN1)],
  ['/send'],
  ['/accepts', 'application/json'],
  ['/accepts', 'image/png'],
  ['/static/latency.svg'],
];

/** What an application answers to each, run from a file. */
async function answers(file: string): Promise<unknown[]> {
  const app = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [port] = await once(app.stdout, 'data');
    return await Promise.all(
      REQUESTS.map(async ([path, type = '*/*', body = null]) => {
        const method = body === null ? 'GET' : 'POST';
        const headers = { 'Content-Type': type, Accept: type };
        const response = await fetch(`http://127.0.0.1:${Number(port)}${path}`, { method, headers, body });
        const { date: _, ...rest } = Object.fromEntries(response.headers);
        // A stack trace tells where the code lies.
        const text = (await response.text()).replaceAll(/<br> .*/g, '');
        return { path, status: response.status, headers: { ...rest, 'content-length': '' }, text };
      }),
    );
  } finally {
    app.kill();
  }
}

it('a bundle answers as its sources do, in what web does not use too', { timeout: 60_000 }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'bundle-'));
  try {
    await bundle({ 'whole-express': 'test/counter/whole-express.ts' }, directory);
    const expected = await answers('test/counter/whole-express.ts');
    expect(expected.map((answer) => (answer as { status: number }).status)).toEqual([
      200, 400, 200, 200, 200, 200, 406, 200,
    ]);
    expect(await answers(join(directory, 'whole-express.cjs'))).toEqual(expected);
  } finally {
    await rm(directory, { recursive: true });
  }
});
