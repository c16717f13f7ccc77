/**
 * Keeps one of all objects that say the same, and numbers them: worlds share their parts, and are told apart by a few numbers. The objects
 * must never change.
 */
export class Canonical {
  readonly #byText = new Map<string, object>();
  readonly #numbers = new Map<object, number>();

  of<T extends object>(value: T): T {
    if (this.#numbers.has(value)) return value;
    const text = JSON.stringify(value);
    const known = this.#byText.get(text);
    // Both say the same, so both are of the same type.
    if (known) return known as T;
    this.#byText.set(text, value);
    this.#numbers.set(value, this.#numbers.size + 1);
    return value;
  }

  /** The number of an object that of() returned; 0 for none. */
  number(value: object | undefined): number {
    if (value === undefined) return 0;
    const number = this.#numbers.get(value);
    if (number === undefined) throw new Error(`not canonical: ${JSON.stringify(value)}`);
    return number;
  }
}
