/** What the samples say: medians and ranges, in Markdown. */

import { markdown } from '../test/support/markdown.ts';
import { median } from '../test/support/median.ts';
import type { Sample } from './measure.ts';
import { service } from './names.ts';

/** Answers a second. */
export const rate = ({ requests, seconds }: Sample) => requests / seconds;
/** Processor time of an answer, in microseconds: a service's, or that of everything but the load generator. */
export const cost = (sample: Sample, name: string) => ((sample.cpu[name] ?? 0) / sample.requests) * 1e6;
export const costOfAll = (sample: Sample) =>
  Object.keys(sample.cpu).reduce((sum, name) => (name === 'wrk' ? sum : sum + cost(sample, name)), 0);
export const commits = ({ commits, requests }: Sample) => commits / requests;

/** `median (least to most)`. */
function range(values: number[], digits: number): string {
  const text = (value: number) => value.toFixed(digits);
  return `${text(median(values))} (${text(Math.min(...values))} to ${text(Math.max(...values))})`;
}

/**
 * A line for each arm and number of connections. The ratio is the median of the rounds' ratios to `nothing`: both were
 * measured within the same minute.
 */
export function table(samples: Sample[]): string {
  const lines = groups(samples, ({ arm, connections }) => `${connections} ${arm}`).map((same) => {
    const [{ arm, connections } = { arm: '', connections: 0 }] = same;
    const nothing = samples.filter((s) => s.arm === 'nothing' && s.connections === connections);
    const ratios = same.map((sample, round) => rate(sample) / (nothing.map(rate)[round] ?? Number.NaN));
    const middle = (of: (sample: Sample) => number, digits = 0) => median(same.map(of)).toFixed(digits);
    return [
      connections,
      arm,
      range(same.map(rate), 0),
      range(ratios, 2),
      middle(({ p50 }) => p50, 1),
      range(
        same.map(({ p99 }) => p99),
        1,
      ),
      middle(({ p999 }) => p999, 1),
      same.reduce((sum, { errors }) => sum + errors, 0),
      middle((sample) => commits(sample) * 1000),
      middle(({ commands, requests }) => (commands / requests) * 1000),
      middle((sample) => cost(sample, 'nginx')),
      arm === 'constant' ? 0 : middle((sample) => cost(sample, service(arm))),
      ...['redis', 'postgres', 'wrk', 'rest'].map((name) => middle((sample) => cost(sample, name))),
      middle(({ memory }) => memory.own),
      middle(({ memory }) => memory.resident),
    ];
  });
  const headings = ['connections', 'arm', 'a second', 'of `nothing`', 'p50 ms', 'p99 ms', 'p99.9 ms'].concat(
    ['errors', 'commits / 1000', 'Redis commands / 1000', 'CPU µs: nginx', 'app', 'redis', 'postgres'],
    ['wrk', 'rest', 'own MiB', 'resident MiB'],
  );
  return markdown(headings, lines);
}

/** How much longer a single visitor waits for an answer of one arm than for one of another, in microseconds. */
export function longer(samples: Sample[], arm: string, than: string): number {
  return wait(samples, arm) - wait(samples, than);
}

function wait(samples: Sample[], arm: string): number {
  return median(samples.filter((s) => s.arm === arm && s.connections === 1).map((s) => 1e6 / rate(s)));
}

/** What a single visitor waits for: microseconds an answer, and what of it is more than `nothing`. */
export function singleVisitor(samples: Sample[]): string {
  const more = (arm: string) => longer(samples, arm, 'nothing');
  const arms = ['nothing', 'script', 'commit', 'visit'];
  const lines = arms.map((arm) => [arm, wait(samples, arm).toFixed(0), more(arm).toFixed(0)]);
  return `${markdown(['one connection', 'µs an answer', 'more than `nothing`'], lines)}\n
A visit takes ${more('visit').toFixed(0)} µs more than nothing, one script and one commit ${(more('script') + more('commit')).toFixed(0)} µs.`;
}

/** By key, in the order in which the keys first came. */
export function groups<T>(values: T[], key: (value: T) => string): T[][] {
  return [...Map.groupBy(values, key).values()];
}
