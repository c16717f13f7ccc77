/**
 * What limits the throughput of visits: a batch costs what it costs however many visits are in it, so a visit costs
 * `visit + batch × batches a visit`, and the smaller the share of a replica in the visitors, the more batches there are.
 */

import { markdown } from '../test/support/markdown.ts';
import { median } from '../test/support/median.ts';
import type { Sample } from './measure.ts';
import { commits, cost, costOfAll, groups, rate } from './report.ts';

/** A straight line y = a + b·x. */
export interface Line {
  a: number;
  b: number;
}

/** The line with the least squares of errors. https://en.wikipedia.org/wiki/Simple_linear_regression */
export function leastSquares(points: { x: number; y: number }[]): Line {
  const mean = (of: (point: { x: number; y: number }) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean((p) => p.x), mean((p) => p.y)];
  const b = mean((p) => (p.x - x) * (p.y - y)) / mean((p) => (p.x - x) ** 2);
  return { a: y - b * x, b };
}

export interface Model {
  /** Processor microseconds of all containers and the kernel, of a visit and of a batch. */
  total: Line;
  /** The same of one service. */
  of: (service: string) => Line;
  /** Which share of a replica's visitors is in a batch. */
  gathered: number;
  /** How many processors work when there is more to do than they can, the load generator's share taken off. */
  processors: number;
}

/** @param visits samples of the arm `visit` with three replicas, of at least two numbers of connections */
export function model(visits: Sample[]): Model {
  const line = (y: (sample: Sample) => number) =>
    leastSquares(visits.map((s) => ({ x: commits(s), y: y(s) })));
  const busy = visits.filter((s) => s.connections >= 64);
  return {
    total: line(costOfAll),
    of: (service) => line((sample) => cost(sample, service)),
    gathered: median(busy.map((s) => s.replicas / (s.connections * commits(s)))),
    processors: median(busy.map((s) => (costOfAll(s) * rate(s)) / 1e6)),
  };
}

/** Visits a second on this machine, all of whose processors every container shares. */
export function predict(
  { total, gathered, processors }: Model,
  replicas: number,
  connections: number,
): number {
  const batchesAVisit = replicas / (gathered * connections);
  return (processors * 1e6) / (total.a + total.b * batchesAVisit);
}

/** The prediction next to what was measured, a line for each number of replicas and connections. */
export function check(model: Model, visits: Sample[]): string {
  const lines = groups(visits, (s) => `${s.replicas} ${s.connections}`).map((same) => {
    const [{ replicas, connections } = { replicas: 0, connections: 0 }] = same;
    const [measured, predicted] = [median(same.map(rate)), predict(model, replicas, connections)];
    return [
      replicas,
      connections,
      measured.toFixed(0),
      predicted.toFixed(0),
      `${((predicted / measured - 1) * 100).toFixed(0)} %`,
      (median(same.map(commits)) * 1000).toFixed(0),
      median(same.map(costOfAll)).toFixed(0),
      median(same.map(({ p99 }) => p99)).toFixed(1),
    ];
  });
  const headings = ['replicas', 'connections', 'visits a second', 'predicted', 'off by'];
  return markdown([...headings, 'commits / 1000', 'CPU µs a visit', 'p99 ms'], lines);
}

/**
 * What the same costs allow where each container has a processor of its own, with batches of a hundred visits.
 * @param commitUs how long a commit takes, in microseconds: all are of one row, so one comes after the other
 */
export function manyMachines({ of }: Model, commitUs: number): string {
  const inBatchesOf100 = ({ a, b }: Line) => a + b / 100;
  const web = 1e6 / inBatchesOf100(of('web'));
  const nginx = 1e6 / inBatchesOf100(of('nginx'));
  const batches = 1e6 / commitUs;
  const lines = [3, 10, 100].map((replicas) => [
    replicas,
    (replicas * web).toFixed(0),
    Math.ceil((replicas * web) / nginx),
    batches.toFixed(0),
    Math.ceil((replicas * web) / batches),
    ((replicas * commitUs) / 1000).toFixed(1),
    // Three at a time, and one more while one is renewed: web/src/connect-postgres.ts
    replicas * 4,
  ]);
  const headings = ['replicas', 'visits a second', 'NGINX workers for it', 'commits a second at most'];
  return markdown(
    [...headings, 'visits a commit', 'ms until a replica has its turn', 'sessions of Postgres at most'],
    lines,
  );
}
