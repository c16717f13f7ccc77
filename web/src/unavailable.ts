/** The request cannot be served now: the client gets 503 and may try again. */
export class Unavailable extends Error {
  override name = 'Unavailable';
}

/** Redis or Postgres did not answer, or not with what was asked. */
export class StoreError extends Unavailable {
  override name = 'StoreError';
  /** False: it was never asked. Otherwise a write may have happened all the same, or may happen yet. */
  readonly sent: boolean;

  constructor(message: string, { sent = true, ...options }: ErrorOptions & { sent?: boolean } = {}) {
    super(message, options);
    this.sent = sent;
  }
}
