/** The notes through NGINX, and under faults: no write that was answered is lost, and none is done twice. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { crash, until } from '../../support/faults.ts';
import { container, count, stack } from '../../support/services.ts';

const { address } = stack;
const json = (method: string, path: string, body: unknown) =>
  fetch(address + path, {
    method,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
const upload = (body: Buffer<ArrayBuffer>) =>
  fetch(`${address}/uploads`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/octet-stream' },
    body,
  });

/** The events of /events, until the test ends. */
async function listen(heard: string[], ended: AbortSignal): Promise<void> {
  const { body } = await fetch(`${address}/events`, { signal: ended });
  if (!body) throw new Error('no body');
  heard.push('connected');
  for await (const piece of body) heard.push(Buffer.from(piece).toString());
}

describe('notes', () => {
  it('are written, found, changed and deleted', async () => {
    const text = randomUUID();
    const made = await json('POST', '/notes', { text });
    const { id } = (await made.json()) as { id: string };
    expect([made.status, made.headers.get('location')]).toEqual([201, `${address}/notes/${id}`]);
    expect(await (await fetch(`${address}/notes?search=${text}`)).json()).toEqual([{ id, text }]);
    expect((await json('PUT', `/notes/${id}`, { text: `${text}!` })).status).toBe(200);
    expect(await (await fetch(`${address}/notes/${id}`)).json()).toEqual({ id, text: `${text}!` });
    expect((await fetch(`${address}/notes/${id}`, { method: 'DELETE' })).status).toBe(204);
    expect((await fetch(`${address}/notes/${id}`)).status).toBe(404);
  });

  it('with a secret are shown to those who know it', async () => {
    const { id } = (await (await json('POST', '/notes', { text: 'hidden', secret: 'open' })).json()) as {
      id: string;
    };
    expect((await fetch(`${address}/notes/${id}?secret=guess`)).status).toBe(403);
    expect((await fetch(`${address}/notes/${id}?secret=open`)).status).toBe(200);
  });

  it.each([
    [{ text: 'x'.repeat(20_000) }, 500],
    [{ text: '' }, 400],
    [{ text: 7 }, 400],
  ])('that are wrong are refused without a stack trace', async (note, status) => {
    const response = await json('POST', '/notes', note);
    expect(response.status).toBe(status);
    expect(await response.text()).not.toMatch(/node_modules|\.ts:/);
  });
});

it('the page and its script come with their types, and may run', async () => {
  const page = await fetch(address);
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(page.headers.get('content-security-policy')).not.toMatch(/default-src|script-src/);
  expect((await fetch(`${address}/notes.js`)).headers.get('content-type')).toMatch(/^text\/javascript/);
});

it('an upload of 2 MB arrives whole, and one above is refused', async () => {
  const body = randomBytes(2_000_000);
  expect(await (await upload(body)).json()).toMatchObject({
    bytes: body.length,
    sha256: createHash('sha256').update(body).digest('hex'),
  });
  expect((await upload(randomBytes(2_200_000))).status).toBe(413);
});

it('a report of 3 s is made once', async () => {
  const running =
    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep($1)%' AND state = 'active' AND pid <> pg_backend_pid()";
  const report = fetch(`${address}/report?seconds=3`);
  let most = 0;
  let over = false;
  const watched = until(async () => {
    most = Math.max(most, Number(await stack.sql(running)));
    return over;
  });
  expect((await report).status).toBe(200);
  over = true;
  await watched;
  expect(most).toBe(1);
});

describe('a replica that is killed', () => {
  it('takes no note with it, and writes none twice', async () => {
    const texts: { text: string; status: number }[] = [];
    let stopped = false;
    const clients = Array.from({ length: 16 }, async () => {
      while (!stopped) {
        const text = randomUUID();
        texts.push({ text, status: (await json('POST', '/notes', { text })).status });
      }
    });
    for (const _ of [1, 2]) {
      const before = texts.length;
      await until(() => texts.length > before + 200);
      const heal = await crash(await container('web'));
      await heal();
    }
    stopped = true;
    await Promise.all(clients);
    const rows = (await stack.sql('SELECT text, count(*) FROM notes GROUP BY text')).split('\n');
    const times = new Map(rows.map((row) => [row.split('|')[0], Number(row.split('|')[1])]));
    expect(texts.filter(({ text, status }) => status === 201 && times.get(text) !== 1)).toEqual([]);
    expect(texts.filter(({ text }) => (times.get(text) ?? 0) > 1)).toEqual([]);
  });

  it('stores no upload twice', async () => {
    const before = Number(await stack.sql('SELECT count(*) FROM uploads'));
    const heal = crash(await container('web'));
    const uploads = Array.from({ length: 12 }, () => upload(randomBytes(1_000_000)));
    const answers = await Promise.all(uploads);
    await (await heal)();
    const stored = Number(await stack.sql('SELECT count(*) FROM uploads')) - before;
    const doubled = 'SELECT count(*) FROM (SELECT FROM uploads GROUP BY sha256 HAVING count(*) > 1) AS twice';
    expect(await stack.sql(doubled)).toBe('0');
    expect(stored).toBeGreaterThanOrEqual(answers.filter(({ status }) => status === 201).length);
  });

  it('leaves other listeners connected, and its own come back', async () => {
    const ended = new AbortController();
    const heard: string[][] = [[], [], [], [], [], []];
    // As a browser's EventSource does.
    const listeners = heard.map(async (events) => {
      while (!ended.signal.aborted) await listen(events, ended.signal).catch(() => {});
    });
    await until(() => heard.every((events) => events.includes('connected')));
    const heal = await crash(await container('web'));
    await heal();
    await until(async () => {
      const text = randomUUID();
      await json('POST', '/notes', { text });
      return heard.every((events) => events.join('').includes(text));
    });
    ended.abort();
    await Promise.all(listeners);
    expect(heard.flat().filter((event) => event === 'connected').length).toBeLessThan(12);
  });
});

it.each(['redis', 'postgres'])('%s may restart: what was answered is there', async (service) => {
  const before = await count();
  let sent = 0;
  let written = 0;
  let stopped = false;
  const client = (async () => {
    for (; !stopped; sent++) {
      if ((await json('POST', '/notes', { text: randomUUID() })).status === 201) written++;
    }
  })();
  await until(() => written > 20);
  await stack.compose('restart', service);
  const after = written;
  await until(() => written > after + 20);
  stopped = true;
  await client;
  // One whose answer was lost may be written as well.
  expect(await count()).toBeGreaterThanOrEqual(before + written);
  expect(await count()).toBeLessThanOrEqual(before + sent);
});
