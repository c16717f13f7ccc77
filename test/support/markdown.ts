/** A table in Markdown. */
export function markdown(headings: string[], lines: (string | number)[][]): string {
  return [headings, headings.map(() => '---'), ...lines]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}
