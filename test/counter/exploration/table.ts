import { markdown } from '../../support/markdown.ts';

/** The steps of the protocol as a table in Markdown: a line for each command in each state, and what follows from each outcome. */
export function table(steps: Iterable<string>): string {
  const parsed = [...new Set(steps)].map((step) => {
    const [state = '', command = '', outcome = '', next = ''] = step.split(' | ');
    return { state, command, outcome, next };
  });
  const lines = [...Map.groupBy(parsed, ({ state, command }) => `${state} | ${command}`).values()].map(
    (same) => {
      const [{ state, command } = { state: '', command: '' }] = same;
      const after = (outcome: string) =>
        same
          .filter((step) => step.outcome === outcome)
          .map(({ next }) => next)
          .toSorted()
          .join(', ');
      return [state, command, after('done'), after('refused'), after('repeated'), after('failed')];
    },
  );
  const order = (line: string[]) => `${STATES.indexOf(line[0] ?? '')} ${COMMANDS.indexOf(line[1] ?? '')}`;
  const sorted = lines.toSorted((a, b) => order(a).localeCompare(order(b), 'en', { numeric: true }));
  return markdown(['state', 'command', 'done', 'refused', 'repeated', 'failed'], sorted);
}

const STATES = [
  'numbering',
  'committing',
  'pausing',
  'failing back',
  'failing over',
  'installing',
  'resetting',
];
const COMMANDS = [
  'read',
  'increment',
  'ping',
  'incrementInFallback',
  'failOver',
  'failBack',
  'install',
  'commit',
  'reset',
];
