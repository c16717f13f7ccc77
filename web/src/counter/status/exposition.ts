/** What /metrics of a replica says, as far as the status page shows it. */
export class Exposition {
  readonly #series = new Map<string, number>();

  /** @param text Prometheus's format, of which prom-client writes a line for each series */
  constructor(text: string) {
    for (const line of text.split('\n')) {
      const space = line.lastIndexOf(' ');
      if (space > 0 && !line.startsWith('#'))
        this.#series.set(line.slice(0, space), Number(line.slice(space + 1)));
    }
  }

  /** A series by its name and labels as they are written; 0 if there is none. */
  get(series: string): number {
    return this.#series.get(series) ?? 0;
  }

  /** The sum of all series of a name whose labels contain this. */
  sum(name: string, labels = ''): number {
    let sum = 0;
    for (const [series, value] of this.#series) {
      if (series.startsWith(`${name}{`) && series.includes(labels)) sum += value;
    }
    return sum;
  }

  /** The value of a label of a series whose value is 1. */
  label(name: string, label: string): string | undefined {
    const pattern = new RegExp(`^${name}\\{.*\\b${label}="([^"]*)"`);
    for (const [series, value] of this.#series) {
      const found = value === 1 ? pattern.exec(series)?.[1] : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }
}
