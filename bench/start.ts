/** How long the start takes, and how large the images are. */
import { baseImages } from '../test/support/base-images.ts';
import { startTimes } from '../test/support/first-answer.ts';
import { markdown } from '../test/support/markdown.ts';
import { median } from '../test/support/median.ts';
import { inspect, type Stack } from '../test/support/stack.ts';

export async function startAndSize(stack: Stack, rounds: number): Promise<string> {
  const { bare, web } = await startTimes(stack, rounds);
  const seconds = (values: number[]) => (median(values) / 1000).toFixed(3);
  const start = markdown(
    [`from \`docker run\` to the first 200, medians of ${rounds}`, 'seconds', 'of bare'],
    [
      ['a bare Node server', seconds(bare), 1],
      ['web, its first visit counted', seconds(web), (median(web) / median(bare)).toFixed(2)],
    ],
  );
  const { NGINX_IMAGE, NODE_IMAGE, REDIS_IMAGE, POSTGRES_IMAGE } = baseImages();
  const bases = { nginx: NGINX_IMAGE, web: NODE_IMAGE, redis: REDIS_IMAGE, postgres: POSTGRES_IMAGE };
  const size = async (image: string) => Number(await inspect(image, '{{.Size}}')) / 1e6;
  const sizes = Object.entries(bases).map(async ([service, image]) => {
    const [id = ''] = await stack.containers(service);
    const [own, base] = [await size(await inspect(id, '{{.Image}}')), await size(image)];
    return [service, own.toFixed(0), base.toFixed(0)];
  });
  return `${start}\n\n${markdown(['image', 'MB', 'its base image, MB'], await Promise.all(sizes))}`;
}
