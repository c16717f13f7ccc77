import { appendFile, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { watchEdge } from './edge-log.ts';

let directory: string;
let file: string;
let stop: () => void;
let registry: Registry;
const warnings: unknown[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'edge-log-'));
  file = join(directory, 'access.log');
  registry = new Registry();
});
afterEach(async () => {
  stop();
  warnings.length = 0;
  await rm(directory, { recursive: true });
});

const read = async (series: string) =>
  (await registry.metrics())
    .split('\n')
    .find((line) => line.startsWith(`${series} `))
    ?.split(' ')[1];
const watch = () => {
  stop = watchEdge(file, registry, (error) => warnings.push(error), 5);
};
/** Until a line is counted: what was written before the first look is left out. */
const isWatched = () =>
  expect
    .poll(async () => {
      await appendFile(file, '418 0.000\n');
      return read('edge_requests_total{status="418"}');
    })
    .toBeDefined();
/** The status 204, to know when all before was read. */
const counted = (status: number, times: number) =>
  expect.poll(() => read(`edge_requests_total{status="${status}"}`), { timeout: 10_000 }).toBe(String(times));

it('counts each whole line once, and nothing from before it began', async () => {
  await writeFile(file, '200 0.001\n200 0.001\n');
  watch();
  await expect.poll(() => warnings, { timeout: 1000 }).toEqual([]);
  await appendFile(file, '204 0.002\n');
  await isWatched();
  const before = Number((await read('edge_requests_total{status="503"}')) ?? 0);
  await appendFile(file, '503 0.25');
  await appendFile(file, '0\n503 2.500\nno line of ours\n201 0.001\n');
  await counted(201, 1);
  expect(await read('edge_requests_total{status="503"}')).toBe(String(before + 2));
  expect(await read('edge_request_duration_seconds_bucket{le="0.25"}')).toBeDefined();
});

it('takes no redirect for a quick answer', async () => {
  await writeFile(file, '');
  watch();
  await isWatched();
  await appendFile(file, '308 0.000\n308 0.000\n201 0.001\n');
  await counted(201, 1);
  await counted(308, 2);
  const teapots = Number(await read('edge_requests_total{status="418"}'));
  expect(await read('edge_request_duration_seconds_count')).toBe(String(teapots + 1));
});

it('empties the file when it is long, and goes on', async () => {
  await writeFile(file, '');
  watch();
  await isWatched();
  const lines = 900_000;
  await appendFile(file, '202 0.001\n'.repeat(lines));
  await counted(202, lines);
  await expect.poll(async () => (await stat(file)).size).toBe(0);
  await appendFile(file, '201 0.001\n');
  await counted(201, 1);
});

it('says once what is wrong with the file, and reads on when it is there', async () => {
  watch();
  await expect.poll(() => warnings.length).toBe(1);
  await writeFile(file, '');
  await isWatched();
  expect(warnings).toHaveLength(1);
});
