import type { Happening } from './snapshot.ts';

const MOST = 50;

/** The last that happened, newest first, and how often what an alert asks for. */
export class Journal {
  readonly happenings: Happening[] = [];
  readonly #now: () => number;
  /** Called after each entry: pages hear of it at once. */
  changed = (): void => {};

  constructor(now: () => number) {
    this.#now = now;
  }

  add(kind: Happening['kind'], text: string): void {
    this.happenings.unshift({ at: this.#now(), kind, text });
    this.happenings.length = Math.min(this.happenings.length, MOST);
    this.changed();
  }
}
