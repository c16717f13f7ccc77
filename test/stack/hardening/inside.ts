/** Commands inside the containers of the stack. */
import { container } from '../../support/services.ts';
import { attempt, inspect } from '../../support/stack.ts';

export const NODE = '/usr/local/bin/node';
export const pid = async (service: string) => inspect(await container(service), '{{.State.Pid}}');

/** Runs a shell command in a service's container, as its user or another. */
export const shell = async (service: string, command: string, user?: string) =>
  attempt('docker', 'exec', ...(user ? ['--user', user] : []), await container(service), 'sh', '-c', command);
export const script = async (source: string) =>
  attempt('docker', 'exec', await container('web'), NODE, '-e', source);
