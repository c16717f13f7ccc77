import type { Size } from './world.ts';

/** Explored in every test run. Every step of the protocol is taken in one of them. */
export const WORLDS = {
  'a fault': { replicas: 2, visits: 1, resets: 1, faults: 1 },
  'two faults': { replicas: 2, visits: 1, resets: 0, faults: 2 },
  'a replica alone, and two faults': { replicas: 1, visits: 2, resets: 0, faults: 2 },
  'an empty Redis at the start': { replicas: 2, visits: 1, resets: 1, faults: 0, settled: false },
  'a replica alone, an empty Redis at the start, and two faults': {
    replicas: 1,
    visits: 1,
    resets: 1,
    faults: 2,
    settled: false,
  },
  'three replicas': { replicas: 3, visits: 1, resets: 0, faults: 0, settled: false },
} satisfies Record<string, Size>;
