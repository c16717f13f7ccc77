import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../../web/src/counter/clock.ts';

interface Timer {
  at: number;
  order: number;
  callback: (() => void) | undefined;
}

/** Virtual time: what is due next happens next, and time jumps there. */
export class VirtualTime implements Clock {
  #now = 0;
  #order = 0;
  /** Sorted, with what is due first at the end. */
  #due: Timer[] = [];

  now = (): number => this.#now;

  after = (ms: number, callback: () => void): (() => void) => {
    const timer: Timer = { at: this.#now + ms, order: this.#order++, callback };
    // A heap would be faster for thousands; there are some dozens.
    let i = this.#due.length;
    while (i > 0 && isLater(this.#due[i - 1], timer)) i--;
    this.#due.splice(i, 0, timer);
    return () => {
      timer.callback = undefined;
    };
  };

  sleep = (ms: number): Promise<void> => new Promise((resolve) => this.after(ms, resolve));

  /** Runs everything until nothing is due any more. */
  async run(): Promise<void> {
    for (let timer = this.#due.pop(); timer; timer = this.#due.pop()) {
      if (!timer.callback) continue;
      this.#now = timer.at;
      timer.callback();
      // Lets every promise that this settled, and those that these settle, run to their next wait.
      await setImmediate();
    }
  }
}

function isLater(a: Timer | undefined, b: Timer): boolean {
  return a !== undefined && (a.at < b.at || (a.at === b.at && a.order < b.order));
}
