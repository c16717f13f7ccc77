/// <reference lib="dom" />
import uPlot from 'uplot';
import type { Sample } from '../snapshot.ts';

const HEIGHT = 190;
const MINUTES = 10;
const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Visits a second and latency. It is drawn once a second, and not at all in a tab that is not seen. */
export class Chart {
  readonly #element: HTMLElement;
  #plot: uPlot;
  #samples: Sample[] = [];

  constructor(element: HTMLElement) {
    this.#element = element;
    this.#plot = this.#make();
    new ResizeObserver(() => this.#plot.setSize(this.#size)).observe(element);
    // A canvas keeps the colours that it was drawn with.
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.#plot.destroy();
      this.#plot = this.#make();
    });
  }

  show(samples: Sample[]): void {
    this.#samples = samples;
    if (document.visibilityState === 'visible') this.#plot.setData(this.#data);
  }

  get #size(): { width: number; height: number } {
    return { width: Math.max(200, this.#element.clientWidth - 16), height: HEIGHT };
  }

  get #data(): uPlot.AlignedData {
    return [
      this.#samples.map(({ at }) => at / 1000),
      this.#samples.map(({ visits }) => visits),
      this.#samples.map(({ latency }) => latency),
    ];
  }

  #make(): uPlot {
    const [quiet, line, accent, warn] = ['--quiet', '--line', '--accent', '--warn'].map(color) as [
      string,
      string,
      string,
      string,
    ];
    const axis = { stroke: quiet, grid: { stroke: line, width: 1 }, ticks: { show: false } };
    const number = (digits: number) => (_: uPlot, value: number | null) => value?.toFixed(digits) ?? '–';
    return new uPlot(
      {
        ...this.#size,
        scales: {
          x: {
            range: (_, _min, max) => [(max ?? Date.now() / 1000) - MINUTES * 60, max ?? Date.now() / 1000],
          },
          y: { range: (_, _min, max) => [0, Math.max(1, max) * 1.1] },
          ms: { range: (_, _min, max) => [0, Math.max(10, max) * 1.1] },
        },
        axes: [
          { ...axis, size: 30, values: (_, times) => times.map((time) => clock(time * 1000).slice(0, 5)) },
          { ...axis, size: 56 },
          {
            ...axis,
            scale: 'ms',
            side: 1,
            grid: { show: false },
            size: 70,
            values: (_, all) => all.map((ms) => `${ms} ms`),
          },
        ],
        series: [
          { label: 'at', value: (_, time) => (time === null ? '–' : clock(time * 1000)) },
          { label: 'visits a second', stroke: accent, width: 2, fill: `${accent}22`, value: number(1) },
          { label: 'latency (ms)', scale: 'ms', stroke: warn, width: 1.5, dash: [5, 4], value: number(1) },
        ],
      },
      this.#data,
      this.#element,
    );
  }
}

/** A time of day, in 24 hours: as logs have it. */
export const clock = (at: number) => new Date(at).toTimeString().slice(0, 8);
