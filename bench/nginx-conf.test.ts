import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { withLocations, withUpstreams } from './nginx-conf.ts';

const part = (text: string, pattern: RegExp) => pattern.exec(text)?.[0] ?? 'nothing';

it('gives each arm an upstream of its own, like that of web', async () => {
  const conf = await readFile('nginx/nginx.conf', 'utf8');
  const upstream = part(conf, /upstream web \{[^}]*\}/);
  const made = part(withUpstreams(conf, ['lean']), /upstream lean \{[^}]*\}/);
  expect(made.replaceAll('lean', 'web')).toBe(upstream);
});

it('gives each arm a location of its own, like that of a visit', async () => {
  const conf = await readFile('nginx/locations.conf', 'utf8');
  const quickRetry = await readFile('nginx/quick-retry.conf', 'utf8');
  const made = withLocations(conf, quickRetry, ['lean']);
  const pattern = (path: string) => new RegExp(`location = ${path} \\{[\\s\\S]*?\\n\\}`);
  const location = part(conf, pattern('/'));
  expect(location).toContain('include quick-retry.conf;');
  expect(part(made, pattern('/lean'))).toBe(
    location
      .replace('location = /', 'location = /lean')
      .replace('include quick-retry.conf;', quickRetry.replace('http://web', 'http://lean/')),
  );
  expect(made).toContain('location = /constant {');
});
