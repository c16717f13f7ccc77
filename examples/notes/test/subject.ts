/** The notes, as the generic suites see them. */
import { randomUUID } from 'node:crypto';
import type { Subject } from './support/subject.ts';

async function post(address: string): Promise<Response> {
  const text = randomUUID();
  const response = await fetch(`${address}/notes`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ text }),
    signal: AbortSignal.timeout(15_000),
  });
  const answer = await response.text();
  if (response.status !== 201 || JSON.parse(answer).text !== text)
    throw new Error(`${response.status} ${answer}`);
  return response;
}

export const subject: Subject = {
  path: '/notes',
  async write(address) {
    await post(address);
  },
  count: 'SELECT count(*) FROM notes',
  logged: post,
  logs: 'note written',
  // Without Redis nobody is told of a note, and it is written all the same.
  hides: ['redis'],
  writesOnce: true,
  holds: 'new EventSource',
  // The sources and their packages, as they are.
  image: { megabytes: 40, startOfBare: 4 },
};
