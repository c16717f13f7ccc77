/** Who may reset, through NGINX. */
import { randomBytes } from 'node:crypto';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { container, stack } from '../../support/services.ts';
import { docker, inspect } from '../../support/stack.ts';
import { visit } from './visit.ts';

describe('/resetcounter', () => {
  it('is refused to a public address, whatever it says of itself, and counts all the same', async () => {
    const network = `${stack.project}-public`;
    const nginx = await container('nginx');
    const image = await inspect(nginx, '{{.Image}}');
    // Kept for documentation, so nobody's: https://www.rfc-editor.org/rfc/rfc5737
    await docker('network', 'create', '--internal', '--subnet', '203.0.113.0/24', network);
    try {
      await docker('network', 'connect', '--alias', 'public', network, nginx);
      const curl = async (...args: string[]) =>
        (
          await docker(
            'run',
            '--rm',
            '--network',
            network,
            '--entrypoint',
            'curl',
            image,
            '--silent',
            '--max-time',
            '10',
            ...args,
          )
        ).stdout;
      const before = await visit();
      const code = ['--output', '/dev/null', '--write-out', '%{http_code}'];
      expect(await curl('http://public:8080/resetcounter')).toBe(
        'Forbidden: only private networks may reset\n',
      );
      for (const lie of [
        'X-Forwarded-For: 10.0.0.1',
        'X-Real-IP: 127.0.0.1',
        'Forwarded: for=127.0.0.1',
        'Host: localhost',
      ]) {
        expect(await curl(...code, '--header', lie, 'http://public:8080/resetcounter')).toBe('403');
      }
      expect(await curl('http://public:8080/')).toContain(`viewed ${before + 1} time(s)`);
    } finally {
      await docker('network', 'disconnect', '--force', network, nginx);
      await docker('network', 'rm', network);
    }
  });

  it.each(['RESET_TOKEN', 'RESET_TOKEN_FILE'])('takes the token of %s and nothing less', async (variable) => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'reset-token-'));
    const token = randomBytes(16).toString('hex');
    const file = join(directory.path, 'token');
    await writeFile(file, `${token}\n`, { mode: 0o444 });
    const reset = async (headers: Record<string, string>) =>
      (await fetch(`${stack.address}/resetcounter`, { headers })).status;
    try {
      await stack.up({ [variable]: variable === 'RESET_TOKEN' ? token : file });
      expect(await reset({})).toBe(401);
      expect(await reset({ Authorization: 'Bearer wrong' })).toBe(401);
      expect(await reset({ Authorization: `Bearer ${token}` })).toBe(200);
      expect(await stack.compose('logs', '--no-color')).not.toContain(token);
      const env = await inspect(await container('web'), '{{json .Config.Env}}');
      if (variable === 'RESET_TOKEN_FILE') expect(env).not.toContain(token);
    } finally {
      await stack.up();
    }
    expect(await reset({})).toBe(200);
  });
});
