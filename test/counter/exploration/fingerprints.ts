/** Fingerprints of 64 bits, as TLC keeps them. Of n states two have the same with a probability of n² / 2^65. */
export class Fingerprints {
  #size = 0;
  #high = new Uint32Array(1 << 20);
  #low = new Uint32Array(1 << 20);
  #index = new Int32Array(1 << 20);

  /** The number of a state, counted from 0: the next one if it is new. */
  number(key: string): number {
    if (this.#size * 2 > this.#high.length) this.#grow();
    const [high, low] = fingerprint(key);
    const found = this.#find(high, low);
    if (this.#index[found] === 0) {
      this.#high[found] = high;
      this.#low[found] = low;
      this.#index[found] = ++this.#size;
    }
    return (this.#index[found] ?? 0) - 1;
  }

  get size(): number {
    return this.#size;
  }

  #find(high: number, low: number): number {
    const mask = this.#high.length - 1;
    let at = low & mask;
    while (this.#index[at] !== 0 && (this.#high[at] !== high || this.#low[at] !== low)) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const [high, low, index] = [this.#high, this.#low, this.#index];
    const length = high.length * 2;
    this.#high = new Uint32Array(length);
    this.#low = new Uint32Array(length);
    this.#index = new Int32Array(length);
    for (const [old, number] of index.entries()) {
      if (number === 0) continue;
      const at = this.#find(high[old] ?? 0, low[old] ?? 0);
      this.#high[at] = high[old] ?? 0;
      this.#low[at] = low[old] ?? 0;
      this.#index[at] = number;
    }
  }
}

/** cyrb53 (public domain, bryc), with all its 64 bits. */
function fingerprint(key: string): [number, number] {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i);
    high = Math.imul(high ^ code, 2654435761);
    low = Math.imul(low ^ code, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return [high >>> 0, low >>> 0];
}
