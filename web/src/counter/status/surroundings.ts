import { readdir, statfs } from 'node:fs/promises';
import { isIP } from 'node:net';
import { checkServerIdentity, connect } from 'node:tls';
import { Gauge, type Registry } from 'prom-client';

/** How long a server may take to show its certificate (ms). */
const HANDSHAKE_MS = 3000;
const EVERY_MS = 10_000;
const BACKUP = /^(?:base|dump)-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\.(?:tar|sql)\.gz$/;

/** When the newest of these backups was made (s since 1970), by their names; 0 without any. */
export function newestBackup(names: string[]): number {
  const times = names.map((name) => {
    const [, year, month, day, hour, minute, second] = BACKUP.exec(name) ?? [];
    return year ? Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`) / 1000 : 0;
  });
  return Math.max(0, ...times);
}

export interface Certificate {
  /** From when until when it is valid (s since 1970). */
  from: number;
  to: number;
  /** Is it one of this host? acme's placeholder is of none. */
  isOfHost: boolean;
}

/** The certificate that a server (host or host:port) shows. Who may sign it is its clients' matter. */
export async function certificateOf(server: string): Promise<Certificate> {
  const [, host = '', port = '443'] = /^(.*?)(?::(\d+))?$/.exec(server) ?? [];
  const { promise, resolve, reject } = Promise.withResolvers<Certificate>();
  // An address is no name that a server could choose a certificate by.
  const name = isIP(host) ? {} : { servername: host };
  const socket = connect({ host, port: Number(port), ...name, rejectUnauthorized: false });
  socket.setTimeout(HANDSHAKE_MS, () => socket.destroy(new Error(`${server} showed no certificate in time`)));
  socket.once('error', reject);
  socket.once('secureConnect', () => {
    const certificate = socket.getPeerCertificate();
    resolve({
      from: Date.parse(certificate.valid_from) / 1000,
      to: Date.parse(certificate.valid_to) / 1000,
      isOfHost: checkServerIdentity(host, certificate) === undefined,
    });
    socket.destroy();
  });
  return promise;
}

interface Watched {
  /** Folders on the disks that may fill. */
  disks: Record<string, string>;
  backups: string;
  /** host or host:port. */
  certificates: string[];
}

/** Tells of the disk, of backups and of certificates, what neither the application nor Postgres knows. Returns how to stop. */
export function watchSurroundings(
  watched: Watched,
  registry: Registry,
  warn: (error: unknown) => void,
): () => void {
  const gauge = (name: string, help: string, ...labelNames: string[]) =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  const free = gauge('stack_disk_free_bytes', 'What is free on a disk.', 'disk');
  const size = gauge('stack_disk_size_bytes', 'How large a disk is.', 'disk');
  const backup = gauge('stack_backup_timestamp_seconds', 'When the newest backup was made; 0 without any.');
  const from = gauge('stack_certificate_not_before_seconds', 'Since when a certificate is valid.', 'host');
  const to = gauge('stack_certificate_not_after_seconds', 'Until when a certificate is valid.', 'host');
  const ofHost = gauge('stack_certificate_of_host', 'Whether a certificate is one of its host.', 'host');

  const looks = [
    ...Object.entries(watched.disks).map(([disk, path]) => async () => {
      const { bavail, blocks, bsize } = await statfs(path);
      free.set({ disk }, bavail * bsize);
      size.set({ disk }, blocks * bsize);
    }),
    async () => backup.set(newestBackup(await readdir(watched.backups))),
    ...watched.certificates.map((host) => async () => {
      // One that cannot be read keeps its last dates, and so comes to its end.
      const certificate = await certificateOf(host);
      from.set({ host }, certificate.from);
      to.set({ host }, certificate.to);
      ofHost.set({ host }, Number(certificate.isOfHost));
    }),
  ];
  const failures = new Map<number, string>();
  let isStopped = false;
  let timer: NodeJS.Timeout;
  async function look(): Promise<void> {
    await Promise.all(
      looks.map((look, index) =>
        look().then(
          () => failures.delete(index),
          (error: Error) => {
            if (failures.get(index) !== error.message) warn(error);
            failures.set(index, error.message);
          },
        ),
      ),
    );
    if (!isStopped) timer = setTimeout(look, EVERY_MS);
  }
  timer = setTimeout(look, 0);
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}
