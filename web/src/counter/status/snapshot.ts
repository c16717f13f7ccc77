/** What the status page is sent, each second and at each change. Times are milliseconds since 1970. */

/** `silent`: it does not answer, and Docker still lists it. `gone`: Docker does not. */
export type ReplicaState = 'ok' | 'degraded' | 'unavailable' | 'silent' | 'gone';

export interface Replica {
  /** Its container's id, as `docker ps` shows it. */
  id: string;
  state: ReplicaState;
  /** When it answered last: what stands below is as old. */
  saidAt: number;
  startedAt: number;
  restarts: number;
  sequencer: string;
  epoch: number;
  pending: number;
  pendingLimit: number;
  oldestSeconds: number;
  isBreakerOpen: boolean;
}

export interface Store {
  /** `unknown`: no replica answers. */
  state: 'up' | 'down' | 'unknown';
  /** What a replica says of it; empty while it is up. */
  cause: string;
  saidAt: number;
}

/** What happened; newest first. */
export interface Happening {
  at: number;
  kind: 'good' | 'bad' | 'neutral';
  text: string;
}

export interface Alert {
  name: string;
  severity: string;
  summary: string;
  since: number;
}

/** A second of the last ten minutes. */
export interface Sample {
  at: number;
  /** Null: no replica answered. */
  visits: number | null;
  /** How long a visit took on average (ms). Null: there was none. */
  latency: number | null;
  state: 'ok' | 'degraded' | 'unavailable';
}

export interface Snapshot {
  at: number;
  status: 'ok' | 'degraded' | 'unavailable';
  /** As Postgres had it when a replica last read it. */
  count: { value: number; saidAt: number } | undefined;
  sequencer: string;
  epoch: number;
  wanted: number;
  edge: { isUp: boolean; saidAt: number };
  stores: { redis: Store; postgres: Store };
  replicas: Replica[];
  happenings: Happening[];
  alerts: Alert[];
  sample: Sample;
}
