import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { withArms } from './arms.ts';

it('gives each arm an upstream and a location of its own, like those of web', async () => {
  const conf = await readFile('nginx/nginx.conf', 'utf8');
  const made = withArms(conf, ['lean']);
  const part = (text: string, pattern: RegExp) => pattern.exec(text)?.[0] ?? 'nothing';
  const upstream = part(conf, /upstream web \{[^}]*\}/);
  expect(part(made, /upstream lean \{[^}]*\}/).replaceAll('lean', 'web')).toBe(upstream);
  const location = part(conf, /location \/ \{[^}]*\}/);
  expect(part(made, /location = \/lean \{[^}]*\}/)).toBe(
    location.replace('location /', 'location = /lean').replace('http://web', 'http://lean/'),
  );
  expect(made).toContain('location = /constant {');
});
