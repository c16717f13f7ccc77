/** The request cannot be served now: the client gets 503 and may try again. */
export class Unavailable extends Error {
  override name = 'Unavailable';
}

/** Redis or Postgres did not answer, or not with what was asked. A write may have happened all the same. */
export class StoreError extends Unavailable {
  override name = 'StoreError';
}
