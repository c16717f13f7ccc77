/** What the samples say: medians, and the range where one is asked for. */
import type { Sample } from './measure.ts';

export function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** `medians (least to most)`. */
function range(values: number[], digits: number): string {
  const text = (value: number) => value.toFixed(digits);
  return `${text(median(values))} (${text(Math.min(...values))} to ${text(Math.max(...values))})`;
}

/** Visits a second. */
const rate = ({ requests, seconds }: Sample) => requests / seconds;

/**
 * A Markdown table, a line for each arm and number of connections: the ratio is that of the medians to those of the arm
 * `nothing`; processor microseconds are a visit's.
 */
export function table(samples: Sample[]): string {
  const headings = ['connections', 'arm', 'a second', 'of nothing', 'p50 ms', 'p99 ms', 'p99.9 ms'].concat(
    ['errors', 'commits / 1000', 'Redis commands / 1000', 'CPU µs: nginx', 'app', 'redis', 'postgres'],
    ['wrk', 'rest', 'own MiB', 'resident MiB'],
  );
  const lines = [...Map.groupBy(samples, ({ arm, connections }) => `${connections} ${arm}`).values()].map(
    (same) => {
      const [{ arm, connections } = { arm: '', connections: 0 }] = same;
      const nothing = samples.filter((s) => s.arm === 'nothing' && s.connections === connections);
      const middle = (of: (sample: Sample) => number, digits = 0) => median(same.map(of)).toFixed(digits);
      const cpu = (service: string) => middle((s) => ((s.cpu[service] ?? 0) / s.requests) * 1e6);
      return [
        connections,
        arm,
        range(same.map(rate), 0),
        (median(same.map(rate)) / median(nothing.map(rate))).toFixed(2),
        middle((s) => s.p50, 1),
        range(
          same.map((s) => s.p99),
          1,
        ),
        middle((s) => s.p999, 1),
        same.reduce((sum, { errors }) => sum + errors, 0),
        middle((s) => (s.commits / s.requests) * 1000),
        middle((s) => (s.commands / s.requests) * 1000),
        cpu('nginx'),
        arm === 'constant' ? 0 : cpu(arm === 'visit' ? 'web' : arm),
        cpu('redis'),
        cpu('postgres'),
        cpu('wrk'),
        cpu('rest'),
        middle((s) => s.memory.own),
        middle((s) => s.memory.resident),
      ];
    },
  );
  return [headings, headings.map(() => '---'), ...lines]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}
