import type { Response } from 'express';
import { refuse } from '../../answer.ts';

/** So many pages may be open; one more is refused, and asks again. */
const MOST = 64;
/** A page opens a stream anew after this time (ms): one whose end nobody noticed is forgotten. */
const LIFE_MS = 600_000;
/** A page that does not read is forgotten when so much waits for it (bytes). */
const MOST_WAITING = 256 * 1024;

/** Tells every open page the same, once made for all. https://html.spec.whatwg.org/multipage/server-sent-events.html */
export class Stream {
  readonly #pages = new Set<Response>();

  get size(): number {
    return this.#pages.size;
  }

  /** Opens a stream for a page. @param first what it is sent at once */
  open(res: Response, first: string): void {
    if (this.#pages.size >= MOST) {
      refuse(res, 503, `${MOST} pages are open already`);
      return;
    }
    res.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      // NGINX passes it on as it comes.
      'X-Accel-Buffering': 'no',
    });
    // After a break the page asks again in so many milliseconds.
    res.write(`retry: 500\n\n${first}`);
    this.#pages.add(res);
    const end = setTimeout(() => res.end(), LIFE_MS);
    res.once('close', () => {
      clearTimeout(end);
      this.#pages.delete(res);
    });
  }

  send(message: string): void {
    for (const page of this.#pages) {
      if (page.writableLength > MOST_WAITING) page.destroy();
      else page.write(message);
    }
  }

  close(): void {
    for (const page of this.#pages) page.end();
  }
}

/** An event of a stream, with an object. */
export const event = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
