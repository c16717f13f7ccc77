/** Where the application says what changed: pino's shape, so that a test needs no pino. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}
