import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const DOCUMENTS = execFileSync('git', ['ls-files', '*.md'], { encoding: 'utf8' }).trim().split('\n');

describe.each(DOCUMENTS)('%s', (document) => {
  const text = readFileSync(document, 'utf8');
  const file = (path: string) => (path ? join(dirname(document), path) : document);

  it('links to files and headings that are there', () => {
    const broken = [...text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !/^https?:/.test(target))
      .filter((target) => {
        const [path = '', anchor = ''] = target.split('#');
        if (!existsSync(file(path))) return true;
        return anchor !== '' && !/^L\d+$/.test(anchor) && !headings(file(path)).includes(anchor);
      });
    expect(broken).toEqual([]);
  });

  it('quotes lines where they are: `npm test -- docs -u` mends the numbers', async () => {
    const missing: string[] = [];
    const correct = text.replace(
      /\[`([^`]+)`\]\(([^)#\s]+)#L(\d+)\)/g,
      (link, code: string, path: string, was: string) => {
        const lines = readFileSync(file(path), 'utf8').split('\n');
        const holds = lines.flatMap((text, index) => (text.includes(code) ? [index + 1] : []));
        // Of several the nearest to where it was: two services may have the same line.
        const [line] = holds.toSorted((a, b) => Math.abs(a - Number(was)) - Math.abs(b - Number(was)));
        if (line === undefined) missing.push(link);
        return `[\`${code}\`](${path}#L${line})`;
      },
    );
    expect(missing).toEqual([]);
    await expect(correct).toMatchFileSnapshot(resolve(document));
  });
});

/** As GitHub names them. */
function headings(path: string): string[] {
  return [...readFileSync(path, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replace(/\s/g, '-'),
  );
}
