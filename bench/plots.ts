/** The figures of docs/performance.md, as SVG. https://vega.github.io/vega-lite */
import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { Sample } from './measure.ts';
import { type Model, predict } from './model.ts';
import { rate } from './report.ts';

/** A line through the medians, and a bar from the least to the most, for each `series`. */
async function chart(
  values: { x: number; y: number; series: string; panel?: string }[],
  titles: { x: string; y: string },
  scale: 'linear' | 'log' = 'linear',
): Promise<string> {
  const y = { field: 'y', type: 'quantitative', title: titles.y, scale: { type: scale } } as const;
  const at = {
    x: { field: 'x', type: 'ordinal', title: titles.x, axis: { labelAngle: 0 } },
    color: { field: 'series', type: 'nominal', title: null },
  } as const;
  const layer = [
    {
      mark: { type: 'line', point: true },
      encoding: { ...at, y: { ...y, aggregate: 'median' } },
    },
    {
      mark: 'rule',
      encoding: { ...at, y: { ...y, aggregate: 'min' }, y2: { field: 'y', aggregate: 'max' } },
    },
  ] as const;
  const panels = [...new Set(values.map(({ panel }) => panel))];
  const common = { data: { values }, background: 'white' };
  const specification =
    panels.length > 1
      ? {
          ...common,
          facet: { column: { field: 'panel', type: 'nominal', title: null, sort: panels } },
          spec: { width: 220, height: 260, layer },
        }
      : { ...common, width: 480, height: 300, layer };
  const view = new View(parse(compile(specification as unknown as TopLevelSpec).spec), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  return `${svg}\n`;
}

/** Of every arm but NGINX's own, which would make the others look alike. */
export function throughput(samples: Sample[]): Promise<string> {
  const values = samples
    .filter(({ arm }) => arm !== 'constant')
    .map((s) => ({ x: s.connections, y: rate(s), series: s.arm }));
  return chart(values, { x: 'connections', y: 'answers a second' });
}

export function latency(samples: Sample[]): Promise<string> {
  const percentiles = ['p50', 'p99', 'p999'] as const;
  const values = samples
    .filter(({ arm }) => arm !== 'constant')
    .flatMap((s) => percentiles.map((p) => ({ x: s.connections, y: s[p], series: s.arm, panel: p })));
  return chart(values, { x: 'connections', y: 'milliseconds' }, 'log');
}

/** @param visits samples of one number of connections for each panel, by `load` */
export function replicas(model: Model, visits: Sample[], load: (sample: Sample) => string): Promise<string> {
  const values = visits.flatMap((s) => [
    { x: s.replicas, y: rate(s), series: 'measured', panel: load(s) },
    { x: s.replicas, y: predict(model, s.replicas, s.connections), series: 'model', panel: load(s) },
  ]);
  return chart(values, { x: 'replicas', y: 'visits a second' });
}
