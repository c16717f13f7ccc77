/**
 * What is compared, docs/performance.md: NGINX alone, Express alone, a visit, what an engineer would write by hand (bench/server.ts), and
 * a visit counted as the original does.
 */
export const ARMS = ['constant', 'nothing', 'lean', 'visit', 'incr', 'update', 'original'] as const;
/** The two things that a visit waits for. */
export const PARTS = ['script', 'commit'] as const;

/** Where NGINX has an arm: one of these, or a revision of web. */
export const path = (arm: string) => (arm === 'visit' ? '/' : `/${arm}`);
/** The service that answers for an arm. */
export const service = (arm: string) => (arm === 'visit' ? 'web' : arm === 'constant' ? 'nginx' : arm);
