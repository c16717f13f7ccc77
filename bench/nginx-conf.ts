/** NGINX's configuration with a place for each arm beside the counter's. */

const CONSTANT = `default_type "text/html; charset=utf-8"; add_header Cache-Control no-store always;
      return 200 "Hello Linode!  This page has been viewed 123456 time(s).";`;

/** nginx.conf with an upstream for each arm beside web's: the same lines, and other replicas. */
export function withUpstreams(conf: string, arms: string[]): string {
  const upstream = block(conf, /^ {2}upstream web \{\n[\s\S]*?^ {2}\}\n/m);
  const upstreams = arms.map((arm) => upstream.replaceAll(/\bweb\b/g, arm));
  return conf.replace(upstream, `${upstream}${upstreams.join('')}`);
}

/** locations.conf with a location for each arm beside the counter's: the same lines, and other replicas. */
export function withLocations(conf: string, quickRetry: string, arms: string[]): string {
  const location = block(conf, /^location = \/ \{\n[\s\S]*?^\}\n/m);
  const locations = arms.map((arm) =>
    location
      .replace('location = /', `location = /${arm}`)
      .replace('include quick-retry.conf;', quickRetry.replace('http://web', `http://${arm}/`)),
  );
  return `${conf}${locations.join('')}location = /constant { ${CONSTANT} }\n`;
}

function block(text: string, pattern: RegExp): string {
  const [found] = pattern.exec(text) ?? [];
  if (found === undefined) throw new Error(`nginx has nothing like ${pattern}: mend bench/nginx-conf.ts`);
  return found;
}
