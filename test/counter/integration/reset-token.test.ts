import { mkdirSync, mkdtempDisposableSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Wait } from 'testcontainers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { image, type Store, startPostgres, store } from '../../support/containers.ts';
import { freePort } from '../../support/this-checkout.ts';
import { Web } from '../../support/web.ts';

const [FIRST, SECOND, THIRD] = ['first', 'second', 'third'].map((name) => `${name}-0123456789`);
const ROOT = join(import.meta.dirname, '..', '..', '..');

let postgres: Store;
let directory: ReturnType<typeof mkdtempDisposableSync>;
/** In a directory of its own, which user 1000 can read. */
let file: string;

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres[Symbol.asyncDispose]());
beforeEach(() => {
  directory = mkdtempDisposableSync(join(tmpdir(), 'token-'));
  mkdirSync(join(directory.path, 'own'), { mode: 0o755 });
  file = join(directory.path, 'own', 'token');
  writeFileSync(file, `${FIRST}\n`, { mode: 0o644 });
});
afterEach(() => directory.remove());

/** As editors and deployments do. */
function replace(token: string | undefined): void {
  writeFileSync(`${file}.new`, `${token}\n`, { mode: 0o644 });
  renameSync(`${file}.new`, file);
}

/** What the bearers of the three tokens get. */
async function resets(address: string): Promise<number[]> {
  const statuses: number[] = [];
  for (const token of [FIRST, SECOND, THIRD]) {
    const headers = { Authorization: `Bearer ${token}` };
    statuses.push((await fetch(`${address}/resetcounter`, { headers })).status);
  }
  return statuses;
}

describe('a process', () => {
  it.each(['file', 'directory'])(
    'takes the token that its %s holds now, and nobody while it holds none',
    async (what) => {
      await using web = new Web({
        DATABASE_URL: postgres.url,
        RESET_TOKEN_FILE: what === 'file' ? file : join(file, '..'),
      });
      const address = await web.address();
      expect(await resets(address)).toEqual([200, 401, 401]);
      writeFileSync(file, `${SECOND}\n`);
      expect(await resets(address)).toEqual([401, 200, 401]);
      rmSync(file);
      expect(await resets(address)).toEqual([401, 401, 401]);
      // Not even from this machine without a token.
      expect((await fetch(`${address}/resetcounter`)).status).toBe(401);
      writeFileSync(file, '');
      expect(await resets(address)).toEqual([401, 401, 401]);
      replace(THIRD);
      expect(await resets(address)).toEqual([401, 401, 200]);
      const causes = web.logs
        .filter(({ msg }) => msg.startsWith('no reset is possible'))
        .map(({ cause }) => cause);
      expect(causes).toEqual([expect.stringContaining('ENOENT'), expect.stringContaining('which is empty')]);
      for (const token of [FIRST, SECOND, THIRD]) expect(web.output).not.toContain(token);
    },
  );
});

describe('a container', () => {
  /** web's sources, with a file or a directory of the host mounted as docker-compose.yml mounts RESET_TOKEN_FILE. */
  async function start(source: string): Promise<Store & { output: () => Promise<string> }> {
    const port = await freePort();
    const [network = 'bridge'] = postgres.container.getNetworkNames();
    const database = new URL(postgres.url);
    database.host = `${postgres.container.getIpAddress(network)}:5432`;
    const started = await image('NODE_IMAGE', port, 8000)
      .withBindMounts([
        { source: ROOT, target: '/src', mode: 'ro' },
        { source, target: '/run/secrets/reset_token', mode: 'ro' },
      ])
      .withUser('1000:1000')
      .withEnvironment({ DATABASE_URL: database.href, RESET_TOKEN_FILE: '/run/secrets/reset_token' })
      .withCommand(['node', '/src/web/src/main.ts'])
      .withWaitStrategy(Wait.forLogMessage('listening'))
      .start();
    const output = async () => {
      const stream = await started.logs();
      let text = '';
      stream.on('data', (chunk: Buffer) => {
        text += chunk;
      });
      await expect.poll(() => text, { timeout: 10_000 }).toContain('no reset is possible');
      stream.destroy();
      return text;
    };
    return { ...(await store(started, `http://localhost:${port}`)), output };
  }

  it('takes what is written into a file that is mounted by itself', async () => {
    await using web = await start(file);
    expect(await resets(web.url)).toEqual([200, 401, 401]);
    writeFileSync(file, `${SECOND}\n`);
    expect(await resets(web.url)).toEqual([401, 200, 401]);
  });

  it.each([
    ['with another', () => replace(SECOND)],
    [
      'with another, and kept beside it',
      () => {
        renameSync(file, `${file}~`);
        replace(SECOND);
      },
    ],
  ])(
    'refuses everybody when the file is replaced %s, says why, and takes the new token after a restart',
    async (_how, change) => {
      await using web = await start(file);
      expect(await resets(web.url)).toEqual([200, 401, 401]);
      change();
      expect(await resets(web.url)).toEqual([401, 401, 401]);
      expect(await web.output()).toContain('was replaced on the host');
      await web.kill();
      await web.start();
      await expect.poll(() => resets(web.url).catch(() => []), { timeout: 20_000 }).toEqual([401, 200, 401]);
    },
  );

  it('takes what replaces the file in a directory that is mounted', async () => {
    await using web = await start(join(file, '..'));
    expect(await resets(web.url)).toEqual([200, 401, 401]);
    replace(SECOND);
    expect(await resets(web.url)).toEqual([401, 200, 401]);
  });
});
