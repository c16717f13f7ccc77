/** What makes each alert fire on the real stack. A fault returns how to end it. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createServer, type Server } from 'node:tls';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { generate } from 'selfsigned';
import { crash, cutBetween, type Heal, pause, together, until } from '../../support/faults.ts';
import { docker, inspect } from '../../support/stack.ts';
import { container, settings, stack } from './observed.ts';

const HOUR = 3600_000;
const filler = (command: string) => stack.compose('exec', '-T', 'filler', 'sh', '-c', command);

/** Most of the disk of Postgres's data. */
export async function fillDisk(): Promise<Heal> {
  await filler(
    `head -c "$(df -k /data | awk 'NR == 2 { print int($4 - $2 * 0.08) }')k" /dev/zero > /data/filler`,
  );
  return async () => void (await filler('rm /data/filler'));
}

const postgres = (script: string) => stack.compose('exec', '-T', 'postgres', 'sh', '-euc', script);

/** The archive takes nothing. */
export async function closeArchive(): Promise<Heal> {
  const archive = (mode: string) => postgres(`find /archive -type d -exec chmod ${mode} {} +`);
  await archive('0500');
  await stack.sql('SELECT pg_switch_wal()');
  return async () => {
    await archive('0755');
    // Otherwise it tries again within a minute.
    await stack.sql('SELECT pg_switch_wal()');
  };
}

/** A write to the archive does not come to its end, as with a server of files that is silent. */
export async function hangArchive(): Promise<Heal> {
  // A pipe has the name of the next segment, and no reader.
  const pipe = await postgres(`
    . /usr/local/bin/volume.sh
    archive=$(archive_of "$PGDATA")
    mkdir -p "$archive"
    pipe=$archive/$(psql -Atc 'SELECT pg_walfile_name(pg_current_wal_lsn())').gz.new
    mkfifo "$pipe"
    psql -qAtc 'SELECT pg_switch_wal()' > /dev/null
    echo "$pipe"`);
  // What has hung fails, and the next attempt finds no pipe.
  return async () => void (await postgres(`{ rm ${pipe.trim()}; cat; } < ${pipe.trim()} > /dev/null`));
}

/** The newest backup becomes one of a day and a half ago. */
export async function oldBackup(): Promise<Heal> {
  const backups = async () =>
    (await readdir(settings.BACKUP_DIR)).map((name) => join(settings.BACKUP_DIR, name));
  for (const path of await backups()) await rm(path);
  const time = new Date(Date.now() - 36 * HOUR).toISOString().replaceAll(/[-:]|\..*/g, '');
  await writeFile(join(settings.BACKUP_DIR, `base-${time}Z.tar.gz`), '');
  return async () => void (await stack.script('ops/backup.sh', [settings.BACKUP_DIR]));
}

/** More sessions than web and operators have. */
export async function takeConnections(): Promise<Heal> {
  const password = await stack.compose('exec', '-T', 'postgres', 'cat', '/run/secrets/postgres/password');
  const host = await stack.on('back', 'postgres');
  const clients = Array.from(
    { length: 80 },
    () =>
      new Client({ host, user: 'linode', database: 'linode', password: password.trim(), keepAlive: true }),
  );
  for (const client of clients) client.on('error', () => {});
  for (const client of clients) await client.connect();
  return async () => {
    await Promise.all(clients.map((client) => client.end()));
  };
}

/** A certificate that is valid since and for so many hours. */
async function certificate(name: string, since: number, left: number) {
  const { cert, private: key } = await generate([{ name: 'commonName', value: name }], {
    notBeforeDate: new Date(Date.now() - since * HOUR),
    notAfterDate: new Date(Date.now() + left * HOUR),
  });
  return { cert, key };
}

let server: Server | undefined;

/** The server of certificate.test shows this certificate, until another is there. */
async function shows(shown: { cert: string; key: string }): Promise<Heal> {
  if (server) server.setSecureContext(shown);
  else {
    server = createServer(shown, (socket) => socket.on('error', () => {}).end());
    server.on('tlsClientError', () => {});
    await once(server.listen(Number(settings.CERTIFICATE_PORT)), 'listening');
    server.unref();
  }
  const good = await certificate('certificate.test', 1, 72);
  return async () => void server?.setSecureContext(good);
}

/** A certificate has a fifth of its lifetime left. */
export const expire = async () => shows(await certificate('certificate.test', 80, 20));

/** A certificate is of another name, as a placeholder is. */
export const showPlaceholder = async () => shows(await certificate('no certificate yet', 1, 72));

/** One container of web ends three times. */
export async function crashThrice(): Promise<Heal> {
  const id = await container('web');
  for (let times = 1; times <= 3; times++) {
    await crash(id);
    await until(
      async () => (await inspect(id, '{{.RestartCount}} {{.State.Running}}')) === `${times} true`,
      60_000,
    );
    // Status has to see each of them.
    await until(async () => (await restarts()) >= times, 60_000);
  }
  return async () => {};
}

async function restarts(): Promise<number> {
  const { stdout } = await docker(
    'exec',
    await container('status'),
    '/usr/local/bin/node',
    'healthcheck.cjs',
    '/metrics',
  );
  return Number(/^stack_replica_restarts_total (\d+)$/m.exec(stdout)?.[1]);
}

/** A container of a service stops, and starts again. */
export async function stop(service: string): Promise<Heal> {
  const id = (await stack.containers(service)).at(-1) ?? '';
  await docker('stop', id);
  return async () => void (await docker('start', id));
}

/** One replica reaches neither Redis nor Postgres. The rest of its network is as it was. */
export async function cutOff(): Promise<Heal> {
  const id = await container('web');
  return together(cutBetween(id, await container('redis')), cutBetween(id, await container('postgres')));
}

export const pauseService = async (service: string): Promise<Heal> => pause(await container(service));

/** Postgres stands still, and again and again a replica gets more requests than half of its bound. */
export async function fillPending(): Promise<Heal> {
  const id = (await stack.containers('web'))[0] ?? '';
  const host = await inspect(id, `{{(index .NetworkSettings.Networks "${stack.project}_front").IPAddress}}`);
  let isOver = false;
  const rounds = (async () => {
    while (!isOver) {
      const resume = await pauseService('postgres');
      const sockets = Array.from({ length: 2500 }, () => {
        const socket = connect(8000, host, () => socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'));
        return socket.on('error', () => {}).resume();
      });
      // All wait until Postgres is back, 5 s at most: Prometheus looks every 5 s.
      await new Promise((resolve) => setTimeout(resolve, 5000));
      for (const socket of sockets) socket.destroy();
      await resume();
      await until(() => stack.isReady(), 60_000);
    }
  })();
  return async () => {
    isOver = true;
    await rounds;
  };
}

/** A transaction holds the row, lets go, and takes it again: visits wait for 2 s. */
export async function holdRow(): Promise<Heal> {
  let isOver = false;
  const loop = (async () => {
    while (!isOver)
      await stack.sql('BEGIN; SELECT FROM visitors FOR UPDATE; SELECT pg_sleep(2); COMMIT').catch(() => {});
  })();
  return async () => {
    isOver = true;
    await loop;
  };
}

const build = async (name: string, lines: string) => {
  const child = promisify(execFile)('docker', ['build', '--tag', name, '-']);
  child.child.stdin?.end(`FROM ${stack.project}-web\n${lines}\n`);
  await child;
};

/** A deploy of an image that does not start; a good one ends the alert. */
export async function deployBroken(): Promise<Heal> {
  const previous = `${stack.project}-web:previous`;
  const deploy = () => stack.script('ops/deploy.sh', ['--previous'], { DEPLOY_WATCH: '1' });
  const good = (
    await docker('image', 'inspect', '--format', '{{.Id}}', `${stack.project}-web`)
  ).stdout.trim();
  await build(previous, 'CMD ["-e", "process.exit(1)"]');
  await deploy().then(
    () => {
      throw new Error('a broken image was deployed');
    },
    () => {},
  );
  await docker('tag', good, `${stack.project}-web`);
  return async () => {
    await build(previous, 'LABEL deploy=good');
    await deploy();
  };
}
