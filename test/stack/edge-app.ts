/**
 * An application with all that the edge must cope with; each request says what becomes of it. Every request that arrives is a line
 * of its log, so that a test can count how often each was carried out, also by a replica that died of it.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** Is this the replica that got the request first? They share a directory. */
function gotFirst(id: string): boolean {
  try {
    writeFileSync(`/shared/${id}`, hostname(), { flag: 'wx' });
    return true;
  } catch {
    return readFileSync(`/shared/${id}`, 'utf8') === hostname();
  }
}

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(`http://localhost${req.url}`);
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of req) {
    hash.update(piece);
    bytes += piece.length;
  }
  console.log(`${req.headers['x-request-id']} ${req.method} ${bytes}`);
  const id = `${req.headers['x-request-id']}`;
  // As one that dies, and listens yet.
  if (searchParams.has('hang-up') && gotFirst(id)) return void req.socket.destroy();
  const dies = searchParams.has('die') && gotFirst(id);
  if (dies || searchParams.has('die-each')) {
    // Docker may not take in a line of a container that ends at once.
    await sleep(Number(searchParams.get('die') ?? searchParams.get('die-each')));
    process.kill(process.pid, 'SIGKILL');
  }
  await sleep(Number(searchParams.get('wait')));
  if (pathname === '/events') {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    for (let event = 1; !res.closed; event++) {
      res.write(`data: ${event}\n\n`);
      await sleep(100);
    }
    return;
  }
  for (const [name, value] of searchParams)
    if (name.startsWith('header-')) res.setHeader(name.slice(7), value);
  res.writeHead(Number(searchParams.get('status') ?? 200), { 'Content-Type': 'application/json' });
  const seen = { replica: hostname(), method: req.method, headers: req.headers, bytes };
  res.end(JSON.stringify({ ...seen, sha256: hash.digest('hex') }));
}

const server = createServer({ keepAliveTimeout: 65_000, requestTimeout: 0 }, answer);
server.on('upgrade', (req, socket) => {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${req.headers.upgrade}\r\n\r\n`,
  );
  socket.on('error', () => {}).pipe(socket);
});
server.listen(8000);
