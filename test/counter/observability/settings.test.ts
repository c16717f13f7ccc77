import { expect, it } from 'vitest';
import { overlaid } from './overlaid.ts';

const status = (settings: NodeJS.ProcessEnv) => overlaid(settings).services.status?.environment.CERTIFICATES;

it('the certificates of the site are watched, unless others are named', () => {
  const HTTPS_DOMAINS = 'example.com,www.example.com';
  expect(status({ HTTPS_DOMAINS: '', CERTIFICATES: '' })).toBe('');
  expect(status({ HTTPS_DOMAINS, CERTIFICATES: '' })).toBe(HTTPS_DOMAINS);
  expect(status({ HTTPS_DOMAINS, CERTIFICATES: 'example.org:8443' })).toBe('example.org:8443');
});

it('the exporter logs in to the database that docker-compose.yml names', () => {
  const { services, ...config } = overlaid();
  const uri = new URL(`postgres://${services['postgres-exporter']?.environment.DATA_SOURCE_URI}`);
  expect(uri.pathname).toBe(`/${config['x-names'].database}`);
});
