import type { Service } from './services.ts';

/** What the generic suites must know of the application under test. */
export interface Subject {
  /** The path that write() asks for. A GET of it reads from the stores, and is answered with 200. */
  path: string;
  /** Writes once, as a client does. @throws on any answer but the right one */
  write: (address: string) => Promise<void>;
  /** A query that tells how often was written. */
  count: string;
  /** A request that web has a line about in its log. @throws as write() */
  logged: (address: string) => Promise<Response>;
  /** The message of that line. */
  logs: string;
  /** The services that may die without a client noticing: others answer in their place, or the client waits. */
  hides: Service[];
  /** Is each write carried out once at most, whatever dies? */
  writesOnce: boolean;
  /** Words that are in web's image, by which a search shows that it finds. */
  holds: string;
  /** What the application's own part of web's image may weigh, and how long its start may take, measured in those of a bare Node. */
  image: { megabytes: number; startOfBare: number };
}
