import { StoreError } from '../../../web/src/unavailable.ts';
import type { Random } from '../../support/random.ts';
import type { VirtualTime } from './virtual-time.ts';

/** The other end of a connection, at any moment. */
export interface Target {
  isReachable: () => boolean;
  /** It answers that it takes no connections. */
  refuses: () => boolean;
  pausedUntil: () => number;
}

export interface NetworkOptions {
  time: VirtualTime;
  random: Random;
  isSlow: () => boolean;
  losesReplies: () => boolean;
  tell: (what: string) => void;
}

/** The network between a replica and a store. */
export class Network {
  readonly #options: NetworkOptions;

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  /** How long something travels (ms). */
  delay(): number {
    const { random, isSlow } = this.#options;
    return isSlow() && random.chance(0.1) ? random.between(20, 3000) : random.between(0.1, 2);
  }

  /**
   * Sends a request, which is carried out once at most, when it arrives.
   * @throws StoreError
   */
  call<T>(name: string, timeoutMs: number, target: Target, carryOut: () => T): Promise<T> {
    const { time, random, losesReplies, tell } = this.#options;
    return new Promise((resolve, reject) => {
      let waiting = true;
      const fail = (why: string, sent = true) => {
        if (waiting) tell(`${name} fails: ${why}`);
        waiting = false;
        reject(new StoreError(`${name}: ${why}`, { sent }));
      };
      const succeed = (answer: T) => {
        if (waiting) resolve(answer);
        waiting = false;
      };
      const arrive = () => {
        const pausedMs = target.pausedUntil() - time.now();
        if (pausedMs > 0) return void time.after(pausedMs + 0.1, arrive);
        if (!target.isReachable()) return;
        const answer = carryOut();
        tell(`${name} -> ${JSON.stringify(answer)}`);
        if (losesReplies() && random.chance(0.05)) {
          // The connection breaks: sooner noticed than a time-out, or not.
          if (random.chance(0.5)) time.after(this.delay(), () => fail('connection lost'));
        } else if (target.isReachable()) time.after(this.delay(), () => succeed(answer));
      };
      if (target.refuses() && random.chance(0.5)) time.after(0.5, () => fail('refused', false));
      else {
        time.after(timeoutMs, () => fail('time-out'));
        time.after(this.delay(), arrive);
      }
    });
  }
}
