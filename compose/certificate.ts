/**
 * Looks whether a certificate and its key are good for this site, and hands them to NGINX: compose/https-own.yml. One that is not is named
 * in one line, and NGINX keeps the pair before.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';

/** Two files as the user names them, with what they hold. */
export interface Pair {
  certFile: string;
  cert: string;
  keyFile: string;
  key: string;
}

/** What is wrong with a pair, and what to do; undefined if nothing is. @param names the hosts of this site; without any, all will do */
export function fault(
  { certFile, cert, keyFile, key }: Pair,
  names: string[],
  now: Date,
): string | undefined {
  const of = `HTTPS_CERT_FILE (${certFile})`;
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(cert);
  } catch {
    return `${of} holds no certificate: give one in PEM, -----BEGIN CERTIFICATE-----, with its chain after it.`;
  }
  try {
    if (!certificate.checkPrivateKey(createPrivateKey(key)))
      return `${of} and HTTPS_KEY_FILE (${keyFile}) are no pair: give the key that the certificate was made for.`;
  } catch {
    return `HTTPS_KEY_FILE (${keyFile}) holds no key that NGINX can read: give one in PEM, without a passphrase.`;
  }
  if (certificate.validToDate < now)
    return `${of} has expired on ${certificate.validTo}: renew the certificate.`;
  if (certificate.validFromDate > now)
    return `${of} is not valid before ${certificate.validFrom}: wait, or set this machine's clock.`;
  const others = names.filter((name) => !certificate.checkHost(name));
  if (others.length > 0)
    return `${of} is not for ${others.join(', ')}, but for ${certificate.subjectAltName ?? 'no host at all'}: give another certificate, or mend HTTPS_DOMAINS.`;
  return undefined;
}

/** @throws a line that names the file that cannot be read */
function read(path: string, name: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`${name} cannot be read: ${error instanceof Error ? error.message : error}.`);
  }
}

function main({ HTTPS_CERT_FILE = '', HTTPS_KEY_FILE = '', HTTPS_DOMAINS = '' }: NodeJS.ProcessEnv): void {
  const pair: Pair = {
    certFile: HTTPS_CERT_FILE,
    cert: read('/run/cert.pem', `HTTPS_CERT_FILE (${HTTPS_CERT_FILE})`),
    keyFile: HTTPS_KEY_FILE,
    key: read('/run/key.pem', `HTTPS_KEY_FILE (${HTTPS_KEY_FILE})`),
  };
  const problem = fault(pair, HTTPS_DOMAINS.split(/[ ,]+/).filter(Boolean), new Date());
  if (problem) throw new Error(problem);
  // NGINX has another user. In one step: it may read at any moment.
  writeFileSync('/certificates/site.new', `${pair.key.trimEnd()}\n${pair.cert}`, { mode: 0o444 });
  renameSync('/certificates/site.new', '/certificates/site.pem');
}

if (import.meta.main) {
  try {
    main(process.env);
  } catch (error) {
    console.error(`certificate: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
