/** The arms of the benchmark, and the stack that has them all. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Stack } from '../test/support/stack.ts';
import { CHECKOUT } from '../test/support/this-checkout.ts';
import { bundle } from '../web/bundle/bundle.ts';
import { ARMS, PARTS } from './names.ts';
import { withLocations, withUpstreams } from './nginx-conf.ts';

// As Stack.start names it.
const PROJECT = `bench-${CHECKOUT}`;
const DIST = 'bench/dist';

/**
 * A stack with all arms behind its NGINX, to be removed by the caller.
 * @param revisions of this repository, by names that a service may have: web/src of each becomes an arm
 */
export async function startArms(revisions: string[] = []): Promise<Stack> {
  await rm(DIST, { recursive: true, force: true });
  await mkdir(DIST, { recursive: true });
  await bundle({ server: 'bench/server.ts' }, DIST);
  for (const revision of revisions) await bundleRevision(revision);
  const arms = [...ARMS, ...PARTS, ...revisions].filter((arm) => !['constant', 'visit'].includes(arm));
  const [conf = '', locations = '', quickRetry = ''] = await Promise.all(
    ['nginx.conf', 'locations.conf', 'quick-retry.conf'].map((file) => readFile(`nginx/${file}`, 'utf8')),
  );
  await writeFile(`${DIST}/nginx.conf`, withUpstreams(conf, arms));
  await writeFile(`${DIST}/locations.conf`, withLocations(locations, quickRetry, arms));
  // Each arm is a service as web is, but for what it runs.
  const services = Object.fromEntries(
    arms.map((arm) => [
      arm,
      {
        extends: { file: 'docker-compose.yml', service: 'web' },
        image: `${PROJECT}-web`,
        command: revisions.includes(arm) ? [`/bench/${arm}.cjs`] : ['/bench/server.cjs', arm],
        volumes: [`./${DIST}:/bench:ro`],
        networks: { front: { aliases: [`${arm}.front.internal`] }, back: null },
        // Idle while another is measured: a check is a start of Node.
        healthcheck: { disable: true },
      },
    ]),
  );
  const nginx = {
    volumes: ['nginx.conf', 'locations.conf'].map((file) => `./${DIST}/${file}:/etc/nginx/${file}:ro`),
  };
  // JSON is YAML, but for the tag: without it an arm would keep web's name beside its own, and get a share of the visits.
  const compose = JSON.stringify({ services: { ...services, nginx } });
  await writeFile(`${DIST}/docker-compose.yml`, compose.replaceAll('"networks":', '"networks": !override '));

  const stack = await Stack.start('bench', `${DIST}/docker-compose.yml`);
  await stack.sql("INSERT INTO visitors (site_id, site_name, visitor_count) VALUES (2, 'bench', 0)");
  return stack;
}

/** With today's packages: what is compared is web/src. */
async function bundleRevision(revision: string): Promise<void> {
  const tree = await mkdtemp(`${DIST}/tree-`);
  const archive = execFileSync('git', ['archive', revision, 'web/src']);
  execFileSync('tar', ['--extract', '--directory', tree], { input: archive });
  await bundle({ [revision]: `${tree}/web/src/main.ts` }, DIST);
}
