/** Which ways lead out of a container: tried from its network, with this machine's tools, since containers have none in common. */
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { attempt, inspect, type Stack } from './stack.ts';

const pid = async (stack: Stack, service: string) =>
  inspect((await stack.containers(service))[0] ?? '', '{{.State.Pid}}');

/** For Node: exits with 0 if the connection opens within 1.5 s, and with 1 otherwise. */
export const connecting = (host: string, port: number) =>
  `require('node:net').connect(${port}, '${host}').setTimeout(1500, () => process.exit(1))
     .on('connect', () => process.exit(0)).on('error', () => process.exit(1))`;

/** Whether a process in the service's network can open a connection. */
export async function reaches(stack: Stack, service: string, host: string, port: number): Promise<boolean> {
  const network = `--net=/proc/${await pid(stack, service)}/ns/net`;
  return (await attempt('nsenter', network, process.execPath, '-e', connecting(host, port))).code === 0;
}

/** Whether the kernel knows a way to everywhere for it: a destination of 00000000. */
export async function hasDefaultRoute(stack: Stack, service: string): Promise<boolean> {
  const routes = await readFile(`/proc/${await pid(stack, service)}/net/route`, 'utf8');
  return /^\S+\t00000000\t/m.test(routes);
}

/** An address of this machine that is on none of Docker's networks. @throws if there is none */
export function outside(): string {
  const found = Object.entries(networkInterfaces())
    .filter(([name]) => !/^(br-|docker|veth)/.test(name))
    .flatMap(([, addresses = []]) => addresses)
    .find(({ family, internal }) => family === 'IPv4' && !internal);
  if (!found)
    throw new Error('this machine has no address but its own and those of Docker: connect it to a network');
  return found.address;
}
