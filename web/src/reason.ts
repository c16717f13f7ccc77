/** What went wrong, in words. An error that only bundles others, one for each attempt, has no words of its own. */
export function reason(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(reason))].join('; ');
  return error instanceof Error ? error.message : String(error);
}
