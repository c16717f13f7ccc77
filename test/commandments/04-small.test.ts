import { expect, it } from 'vitest';
import { subject } from '../subject.ts';
import { container, figure } from '../support/services.ts';
import { attempt, inspect } from '../support/stack.ts';

/** The base image that a service's image is built from. */
const BASE = {
  nginx: process.env.NGINX_IMAGE ?? '',
  web: process.env.NODE_IMAGE ?? '',
  redis: process.env.REDIS_IMAGE ?? '',
  postgres: process.env.POSTGRES_IMAGE ?? '',
};
const size = async (image: string) => Number(await inspect(image, '{{.Size}}'));
const MB = (bytes: number) => (bytes / 1e6).toFixed(bytes < 1e6 ? 3 : 0);

it.for(['nginx', 'redis', 'postgres'] as const)(
  '%s adds less than 30 kB to its base image',
  async (service, context) => {
    const ours = await size(await inspect(await container(service), '{{.Image}}'));
    const base = await size(BASE[service]);
    await figure(
      context,
      `${service}: ${MB(ours)} MB, of which it adds ${MB(ours - base)} MB to its base image`,
    );
    expect(ours - base).toBeLessThan(30_000);
  },
);

it('web is smaller than the image it is built from, for it takes of it only Node and its libraries', async (context) => {
  const id = await container('web');
  const ours = await size(await inspect(id, '{{.Image}}'));
  const base = await size(BASE.web);
  const files = (await listing(id)).filter((line) => !line.startsWith('d'));
  const node = files.find((line) => line.endsWith(' usr/local/bin/node')) ?? '';
  const bundle = files.filter((line) => / app\//.test(line));
  const bytes = (line: string) => Number(line.split(/\s+/)[2]);
  const ownBytes = bundle.reduce((sum, line) => sum + bytes(line), 0);
  await figure(
    context,
    `web: ${MB(ours)} MB, its base image ${MB(base)} MB; Node ${MB(bytes(node))} MB, the application ${MB(ownBytes)} MB in ${bundle.length} files`,
  );
  expect(ours).toBeLessThan(base);
  expect(ownBytes).toBeLessThan(subject.image.megabytes * 1e6);
});

it('web holds no package manager, no shell, no compiler, no development dependency', async () => {
  const paths = (await listing(await container('web'))).map((line) => line.split(/\s+/)[5] ?? '');
  expect(paths).toContain('usr/local/bin/node');
  expect(paths).toContain('app/main.cjs');
  const programs =
    /(^|\/)(npm|npx|yarn|corepack|apt(-get)?|dpkg|apk|sh|bash|dash|busybox|tsc|esbuild|gcc|cc|curl|wget)$/;
  expect(paths.filter((path) => programs.test(path))).toEqual([]);
  const development =
    /node_modules\/(typescript|vitest|testcontainers|supertest|@biomejs|@types)\/|^app\/web\/.*\.test\.ts$/;
  expect(paths.filter((path) => development.test(path))).toEqual([]);
});

/** The files of a container, as `tar` lists them. */
async function listing(id: string): Promise<string[]> {
  const { code, output } = await attempt('sh', '-c', `docker export ${id} | tar --list --verbose`);
  expect(code).toBe(0);
  return output.trim().split('\n');
}
