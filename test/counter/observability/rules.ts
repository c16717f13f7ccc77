/** For each alert series that make it fire, and some that must not: promtool runs them (rules.test.ts). */

/** A series, and its values every five seconds, in promtool's notation: `1+0x40` is 1, and 40 times the same again. */
export type Series = Record<string, string>;
export type Case = [alert: string, when: string, series: Series, at: string];

const STATUSES = ['ok', 'degraded', 'unavailable'] as const;
const always = (value: number | string) => `${value}+0x400`;

/** Replicas of each status, and some that do not answer. */
function replicas(of: Partial<Record<(typeof STATUSES)[number] | 'silent', number>>): Series {
  const series: Series = {};
  let instance = 0;
  for (const status of STATUSES) {
    for (let i = 0; i < (of[status] ?? 0); i++) {
      series[`up{job="web",instance="${instance}"}`] = always(1);
      for (const each of STATUSES)
        series[`app_status{job="web",instance="${instance}",status="${each}"}`] = always(
          each === status ? 1 : 0,
        );
      instance++;
    }
  }
  for (let i = 0; i < (of.silent ?? 0); i++) series[`up{job="web",instance="${instance++}"}`] = always(0);
  return series;
}

/** Three replicas; whether the first of them cannot count. */
const recovering = (unavailable: string): Series => ({
  ...replicas({ unavailable: 3 }),
  'app_status{job="web",instance="0",status="unavailable"}': unavailable,
});

const WANTED = { stack_replicas_wanted: always(3) };
const deploys = (done: string, back: string) => ({
  'stack_deploy_timestamp_seconds{end="done"}': done,
  'stack_deploy_timestamp_seconds{end="back"}': back,
});
const edge = (ok: string, failed: string) => ({
  'edge_requests_total{status="200"}': ok,
  'edge_requests_total{status="503"}': failed,
});
/** So many in five seconds. */
const durations = (fast: number, slow: number) => ({
  'edge_request_duration_seconds_bucket{le="0.5"}': `0+${fast}x40`,
  'edge_request_duration_seconds_bucket{le="1"}': `0+${fast + slow}x40`,
  'edge_request_duration_seconds_bucket{le="+Inf"}': `0+${fast + slow}x40`,
  edge_request_duration_seconds_count: `0+${fast + slow}x40`,
});
const certificate = (from: number, to: number) => ({
  'stack_certificate_not_before_seconds{host="h"}': always(from),
  'stack_certificate_not_after_seconds{host="h"}': always(to),
});
const connections = (taken: number) => ({
  'pg_stat_activity_count{state="idle"}': always(taken - 5),
  'pg_stat_activity_count{state="active"}': always(5),
  pg_settings_max_connections: always(100),
});
const pending = (requests: number) => ({
  counter_pending_requests: `0 ${requests}`,
  counter_pending_limit: '4000 4000',
});
const disk = (free: number) => ({
  'stack_disk_free_bytes{disk="data"}': always(free),
  'stack_disk_size_bytes{disk="data"}': always(100),
});

export const FIRES: Case[] = [
  ['CannotCount', 'no replica can count', replicas({ unavailable: 3 }), '30s'],
  ['CannotCount', 'no replica answers', replicas({ silent: 3 }), '30s'],
  ['CannotCount', 'Docker lists no replica', {}, '30s'],
  ['CannotCount', 'the first of them counts again since 70 s', recovering('1+0x6 0+0x40'), '105s'],
  ['Degraded', 'Postgres gives out the numbers', replicas({ degraded: 3 }), '35s'],
  [
    'BreakerOpen',
    'the breaker is open most of the time',
    { counter_breaker_open: '1 1 0 1 1 1 0 1 1 1 1' },
    '50s',
  ],
  ['PendingHigh', 'more than half of the bound are pending', pending(2500), '5s'],
  ['ReplicasMissing', 'two of three answer', { ...replicas({ ok: 2, silent: 1 }), ...WANTED }, '35s'],
  [
    'ReplicasMissing',
    'one of three cannot count',
    { ...replicas({ ok: 2, unavailable: 1 }), ...WANTED },
    '35s',
  ],
  ['ReplicasMissing', 'none answers', { ...replicas({ silent: 3 }), ...WANTED }, '35s'],
  [
    'ReplicasRestarting',
    'one was started three times',
    { stack_replica_restarts_total: '0 0 0 1 1 1 2 2 2 3+0x40' },
    '3m',
  ],
  ['DeployWentBack', 'one went back after a good one', deploys('10+0x40', '0 20+0x40'), '1m'],
  [
    'DeployWentBack',
    'one went back, and status was replaced since',
    deploys('0+0x40', '0 20 20 0+0x40'),
    '2m',
  ],
  ['EdgeDown', 'NGINX does not answer', { stack_edge_up: '1 0+0x20' }, '20s'],
  ['EdgeErrors', 'one in fifty of many fails', edge('0+490x40', '0+10x40'), '2m'],
  ['Latency', 'one in ten is slow', durations(90, 10), '90s'],
  ['CertificateExpiring', 'a fifth of the lifetime is left', certificate(-300, 160), '1m'],
  ['CertificateExpiring', 'it has expired', certificate(-300, 30), '1m'],
  [
    'CertificateMissing',
    'it is of another name',
    { 'stack_certificate_of_host{host="h"}': always(0) },
    '65s',
  ],
  ['PostgresConnections', '85 of 100 are taken', connections(85), '20s'],
  ['DiskFilling', '9 % are free', disk(9), '20s'],
  ['ArchiveFailing', 'a segment waits and waits', { pg_archive_waiting_seconds: '0 0+5x40' }, '90s'],
  // These begin in 1970, and so does a backup that is not there.
  ['BackupOld', 'it is of 28 h ago', { stack_backup_timestamp_seconds: always(-28 * 3600) }, '1m'],
  ['MonitoringDown', 'an exporter does not answer', { 'up{job="postgres"}': '1 0+0x20' }, '30s'],
  ['MonitoringDown', 'an exporter cannot log in', { 'pg_up{job="postgres"}': '1 0+0x20' }, '30s'],
];

export const SILENT: Case[] = [
  ['CannotCount', 'one of three cannot', replicas({ ok: 2, unavailable: 1 }), '10m'],
  ['CannotCount', 'the first of them counts again since 80 s', recovering('1+0x6 0+0x40'), '115s'],
  ['CannotCount', 'no replica can, since 10 s', replicas({ unavailable: 3 }), '10s'],
  ['Degraded', 'all is well', replicas({ ok: 3 }), '10m'],
  [
    'Degraded',
    'it was for 15 s',
    { ...replicas({ ok: 3 }), 'app_status{job="web",instance="0",status="degraded"}': '0 1 1 1 0+0x100' },
    '15s',
  ],
  ['BreakerOpen', 'it was open for a moment', { counter_breaker_open: '0 0 1 1 0 0 0 0 0 0 0' }, '50s'],
  ['PendingHigh', 'half of the bound are pending', pending(2000), '5s'],
  ['ReplicasMissing', 'all answer', { ...replicas({ ok: 3 }), ...WANTED }, '10m'],
  ['ReplicasMissing', 'all count without Redis', { ...replicas({ degraded: 3 }), ...WANTED }, '10m'],
  ['ReplicasMissing', 'one is replaced', { ...replicas({ ok: 2, silent: 1 }), ...WANTED }, '25s'],
  [
    'ReplicasMissing',
    'one could not count for 25 s',
    { ...replicas({ ok: 2, unavailable: 1 }), ...WANTED },
    '25s',
  ],
  ['ReplicasMissing', 'a deploy runs twice as many', { ...replicas({ ok: 6 }), ...WANTED }, '10m'],
  [
    'ReplicasRestarting',
    'one was started twice',
    { stack_replica_restarts_total: '0 0 0 1 1 1 2+0x40' },
    '3m',
  ],
  ['DeployWentBack', 'a good one followed', deploys('10 10 30+0x40', '20+0x40'), '1m'],
  ['DeployWentBack', 'there was none', deploys('0+0x40', '0+0x40'), '1m'],
  ['EdgeDown', 'NGINX was reloaded', { stack_edge_up: '1 0 1+0x20' }, '5s'],
  ['EdgeErrors', 'one in a thousand of many fails', edge('0+9990x40', '0+10x40'), '2m'],
  ['EdgeErrors', 'one in fifty fails since 10 s', edge('0+490x40', '0+10x40'), '15s'],
  ['EdgeErrors', 'a quiet site has one error', edge('0 0 1 1+0x40', '0 0 0 1+0x40'), '30s'],
  ['Latency', 'one in fifty is slow', durations(98, 2), '90s'],
  ['Latency', 'all of a few are slow', durations(0, 1), '90s'],
  ['Latency', 'one in ten has been slow for 5 s', durations(90, 10), '10s'],
  [
    'CertificateMissing',
    'the first one comes after 50 s',
    { 'stack_certificate_of_host{host="h"}': '0+0x10 1+0x40' },
    '90s',
  ],
  ['CertificateExpiring', 'its renewal is due since an hour', certificate(-720 * 3600, 321 * 3600), '1m'],
  ['PostgresConnections', 'nine replicas are deployed', connections(76), '90s'],
  ['PostgresConnections', '85 of 100 are taken since 5 s', connections(85), '5s'],
  ['DiskFilling', '9 % are free since 5 s', disk(9), '5s'],
  ['DiskFilling', '11 % are free', disk(11), '90s'],
  ['ArchiveFailing', 'nothing is written', { pg_archive_waiting_seconds: always(0) }, '10m'],
  ['ArchiveFailing', 'each waits for its turn', { pg_archive_waiting_seconds: '0+5x11 0+5x11 0+5x11' }, '2m'],
  [
    'ArchiveFailing',
    'Postgres was away, and goes on',
    { pg_archive_waiting_seconds: '600 610 0+0x40' },
    '10s',
  ],
  ['BackupOld', 'it is of 25 h ago', { stack_backup_timestamp_seconds: always(-25 * 3600) }, '1m'],
  ['MonitoringDown', 'a replica is gone: another alert says so', { 'up{job="web"}': '1 0+0x20' }, '30s'],
  ['MonitoringDown', 'an exporter was slow once', { 'up{job="postgres"}': '1 0 1+0x20' }, '5s'],
];
