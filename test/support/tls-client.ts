/** A visitor who asks over TLS, and believes one authority alone. */
import type { X509Certificate } from 'node:crypto';
import { Agent, type RequestOptions, request } from 'node:https';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';

/** The name of the site; its address is this machine's. */
export const NAME = 'site.test';

/** What a handshake agreed upon. */
export interface Handshake {
  certificate: X509Certificate | undefined;
  protocol: string | null;
  alpn: string | false | null;
  reused: boolean;
  /** For a later handshake. */
  session: Buffer | undefined;
  /** Why the certificate is not believed. */
  distrust: string | undefined;
}

/** An open connection. The caller ends it. @throws what either side says where no session comes about */
export async function connected(port: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const where = { host: '127.0.0.1', port: Number(port), servername: NAME, rejectUnauthorized: false };
  const socket = connect({ ...where, ...options }, () => resolve(socket));
  socket.setTimeout(15_000, () => socket.destroy(new Error('the other side is silent'))).on('error', reject);
  return promise;
}

/** Shakes hands and says goodbye. */
export async function handshake(port: string, options: ConnectionOptions = {}): Promise<Handshake> {
  const socket = await connected(port, options);
  // With TLS 1.3 a session comes after the handshake, before it has come with it.
  const { promise: session, resolve } = Promise.withResolvers<Buffer | undefined>();
  socket.once('session', resolve);
  socket.once('close', () => resolve(undefined)).resume();
  if (socket.getProtocol() !== 'TLSv1.3') resolve(socket.getSession());
  socket.write('GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  return {
    certificate: socket.getPeerX509Certificate(),
    protocol: socket.getProtocol(),
    alpn: socket.alpnProtocol,
    reused: socket.isSessionReused(),
    session: await session,
    distrust: socket.authorizationError ? String(socket.authorizationError) : undefined,
  };
}

export interface Answer {
  status: number;
  headers: NodeJS.Dict<string | string[]>;
  text: string;
}

/** One that opens a connection for each request, or keeps one. */
export class Visitor implements Disposable {
  readonly #port: string;
  readonly #agent: Agent;

  /** @param ca the authority that it believes, in PEM */
  constructor(port: string, ca: string, keepAlive = false) {
    this.#port = port;
    // No session is kept: each handshake sees the certificate.
    this.#agent = new Agent({ ca, keepAlive, maxSockets: keepAlive ? 1 : 8, maxCachedSessions: 0 });
  }

  /** @throws if the certificate is not believed, or no answer comes within 15 s */
  get(path: string, options: RequestOptions = {}): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const where = { host: '127.0.0.1', port: this.#port, path, servername: NAME, agent: this.#agent };
    const headers = { Host: NAME, ...options.headers };
    request({ ...where, timeout: 15_000, ...options, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
      response.on('error', reject);
    })
      .on('timeout', () => reject(new Error(`no answer for ${path}`)))
      .on('error', reject)
      .end();
    return promise;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}
