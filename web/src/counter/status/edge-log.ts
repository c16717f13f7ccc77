import { open } from 'node:fs/promises';
import { Counter, Histogram, type Registry } from 'prom-client';
import { BUCKETS } from '../../metrics.ts';

/** NGINX writes so often (nginx/observe-http.conf), and so often it is read (ms). */
const EVERY_MS = 1000;
/** What is read in one go (bytes): a second of 10,000 requests is 100 kB. */
const CHUNK = 1024 * 1024;
/** From here on the file is emptied (bytes): its disk, which is memory, has 32 MB. */
const MOST = 8 * 1024 * 1024;

/**
 * Counts what NGINX saw: a line of its second access log is a status and seconds. It is a file, which
 * NGINX writes once a second: messages (syslog) cost it a system call each, and are lost when nothing reads quickly enough.
 * @returns how to stop
 */
export function watchEdge(
  path: string,
  registry: Registry,
  warn: (error: unknown) => void,
  everyMs = EVERY_MS,
): () => void {
  const registers = [registry];
  const requests = new Counter({
    name: 'edge_requests_total',
    help: 'What NGINX answered, by status.',
    labelNames: ['status'],
    registers,
  });
  const durations = new Histogram({
    name: 'edge_request_duration_seconds',
    help: 'How long NGINX took for a request that is no redirect, by its own clock.',
    buckets: BUCKETS,
    registers,
  });
  for (const status of ['200', '503']) requests.inc({ status }, 0);

  const buffer = Buffer.alloc(CHUNK);
  let position: number | undefined;
  let rest = '';
  let timer: NodeJS.Timeout;

  async function read(): Promise<void> {
    await using file = await open(path, 'r+');
    const { size } = await file.stat();
    // What was written while nobody read is left out: it would look like a burst of now.
    position ??= size;
    // NGINX was started anew with an empty disk.
    if (size < position) position = 0;
    while (position < size) {
      const { bytesRead } = await file.read(buffer, 0, CHUNK, position);
      if (bytesRead === 0) break;
      position += bytesRead;
      const lines = (rest + buffer.toString('latin1', 0, bytesRead)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) take(line);
    }
    if (position < MOST) return;
    // NGINX appends, so it goes on at the new end. Nothing was written since the last look, or it waits for the next.
    if ((await file.stat()).size === position) {
      await file.truncate();
      position = 0;
    }
  }

  function take(line: string): void {
    const [, status, seconds] = /^(\d{3}) (\d+\.\d+)$/.exec(line) ?? [];
    if (!status) return;
    requests.inc({ status });
    // NGINX itself redirects to HTTPS, at once however slow the rest is.
    if (!status.startsWith('3')) durations.observe(Number(seconds));
  }

  let failure = '';
  let isStopped = false;
  async function turn(): Promise<void> {
    await read().then(
      () => {
        failure = '';
      },
      (error: Error) => {
        // Once for each cause.
        if (error.message !== failure) warn(error);
        failure = error.message;
      },
    );
    if (!isStopped) timer = setTimeout(turn, everyMs);
  }
  timer = setTimeout(turn, 0);
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}
