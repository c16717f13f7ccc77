import { mkdtempDisposableSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { ConfigError, Settings } from '../config.ts';
import { type CounterConfig, readCounterConfig } from './config.ts';

/** What this environment says. */
function read(env: NodeJS.ProcessEnv): CounterConfig {
  const settings = new Settings(env);
  const config = readCounterConfig(settings);
  settings.check();
  return config;
}

it.each([
  [undefined, 5000],
  ['', 5000],
  ['1', 1],
  ['600000', 600_000],
])('takes a wait of %s for %i ms', (value, expected) => {
  expect(read({ POSTGRES_WAIT_MS: value }).postgresWaitMs).toBe(expected);
});

it.each(['0', '600001', 'x'])('refuses a wait of %s', (value) => {
  expect(() => read({ POSTGRES_WAIT_MS: value })).toThrow(
    `POSTGRES_WAIT_MS is '${value}': give a whole number from 1 to 600000, or leave it out for 5000`,
  );
});

it('asks for no token where none is given', () => {
  expect(read({ RESET_TOKEN: '', RESET_TOKEN_FILE: '' }).resetToken).toBeUndefined();
});

it('takes a token of 16 characters, from a variable or a file', () => {
  const token = 'aB0-._~+/123456=';
  expect(read({ RESET_TOKEN: token }).resetToken?.()).toBe(token);
  using directory = mkdtempDisposableSync(join(tmpdir(), 'config-test-'));
  const file = join(directory.path, 'token');
  writeFileSync(file, `${token}\n`);
  expect(read({ RESET_TOKEN_FILE: file }).resetToken?.()).toBe(token);
});

it.each(['file', 'directory'])(
  'reads the token anew each time from its %s, written over or replaced',
  (kind) => {
    using directory = mkdtempDisposableSync(join(tmpdir(), 'config-test-'));
    const file = join(directory.path, 'token');
    const [first, second, third] = ['1', '2', '3'].map((digit) => digit.repeat(16));
    writeFileSync(file, `${first}\n`);
    const env = { RESET_TOKEN_FILE: kind === 'file' ? file : directory.path };
    const { resetToken } = read(env);
    expect(resetToken?.()).toBe(first);
    writeFileSync(file, `${second}\n`);
    expect(resetToken?.()).toBe(second);
    writeFileSync(`${file}.new`, `${third}\n`);
    renameSync(`${file}.new`, file);
    expect(resetToken?.()).toBe(third);
  },
);

it('has no token while the file is gone, empty, too short or no token', () => {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'config-test-'));
  const file = join(directory.path, 'token');
  writeFileSync(file, '0123456789abcdef');
  const { resetToken } = read({ RESET_TOKEN_FILE: file });
  for (const [content, fault] of [
    ['', /RESET_TOKEN_FILE names .*, which is empty: write the value into it/],
    [
      '0123456789abcde\n',
      /RESET_TOKEN has 15 characters: give it 16 or more, openssl rand -hex 16 makes one/,
    ],
    ['0123456789 abcdef', /RESET_TOKEN holds what a bearer token cannot/],
  ] as const) {
    writeFileSync(file, content);
    expect(resetToken).toThrow(fault);
  }
  rmSync(file);
  expect(resetToken).toThrow(/RESET_TOKEN_FILE names a file that cannot be read \(ENOENT/);
  writeFileSync(file, 'fedcba9876543210');
  expect(resetToken?.()).toBe('fedcba9876543210');
});

it.each<[string, NodeJS.ProcessEnv, RegExp]>([
  ['a short token', { RESET_TOKEN: 'short' }, /RESET_TOKEN has 5 characters: give it 16 or more/],
  ['a token file that is not there', { RESET_TOKEN_FILE: '/no' }, /RESET_TOKEN_FILE names a file that/],
  [
    'a token and its file',
    { RESET_TOKEN: '0123456789abcdef', RESET_TOKEN_FILE: '/no' },
    /RESET_TOKEN and RESET_TOKEN_FILE are both set: set one/,
  ],
])('refuses %s', (_what, env, fault) => {
  expect(() => read(env)).toThrow(fault);
});

it.each(['geheim geheim', 'geheim"', 'gehéim', '=geheim'])(
  'refuses the token %j, and does not quote it',
  (token) => {
    const refused = () => read({ RESET_TOKEN: token });
    expect(refused).toThrow(/RESET_TOKEN holds what a bearer token cannot: letters, /);
    expect(refused).toThrow(ConfigError);
    expect(inspect(attempt(refused))).not.toContain(token);
  },
);

function attempt(refused: () => unknown): unknown {
  try {
    return refused();
  } catch (error) {
    return error;
  }
}
