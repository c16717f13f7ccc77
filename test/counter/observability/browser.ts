/** The status page in Chromium. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { stack } from './observed.ts';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
/** Where `npm run screenshots` wants them. */
const SHOTS = process.env.SCREENSHOTS;

const launch = () =>
  // Root may not use Chromium's own sandbox. It sees no page but the stack's.
  chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });

interface Look {
  colorScheme?: 'light' | 'dark';
  width?: number;
}

export class Viewer implements AsyncDisposable {
  readonly page: Page;
  /** What Chromium complains of: scripts that fail, and what the Content-Security-Policy forbids. */
  readonly complaints: string[] = [];
  readonly #browser: Browser;

  private constructor(browser: Browser, page: Page) {
    this.#browser = browser;
    this.page = page;
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      // A stream that breaks off is no fault of the page.
      if (message.type() === 'error' && !/net::ERR_|status of 50\d/.test(message.text()))
        this.complaints.push(message.text());
    });
  }

  /** Opens the page, and waits until it shows replicas. */
  static async open({ colorScheme = 'light', width = 1200 }: Look = {}): Promise<Viewer> {
    const browser = await launch();
    const page = await browser.newPage({ colorScheme, viewport: { width, height: 900 } });
    const viewer = new Viewer(browser, page);
    await page.goto(`${stack.address}/status`);
    await page.locator('#replicas li').first().waitFor();
    return viewer;
  }

  text(selector: string): Promise<string> {
    return this.page.locator(selector).innerText();
  }

  /** The state of each replica that is shown, by its id. */
  async replicas(): Promise<Record<string, string>> {
    const cards = await this.page.locator('#replicas li').all();
    const pairs = cards.map(async (card) => [
      (await card.getAttribute('data-id')) ?? '',
      (await card.getAttribute('data-state')) ?? '',
    ]);
    return Object.fromEntries(await Promise.all(pairs));
  }

  /** What axe-core finds wrong. It is put in past the page's policy, which forbids it. */
  async violations(): Promise<string[]> {
    await this.page.evaluate(await readFile(AXE, 'utf8'));
    const found = await this.page.evaluate('axe.run().then((result) => result.violations)');
    return (found as { id: string; nodes: { target: unknown[]; failureSummary?: string }[] }[]).flatMap(
      ({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id} ${target}: ${failureSummary}`),
    );
  }

  async shoot(name: string): Promise<void> {
    if (SHOTS) await this.page.screenshot({ path: join(SHOTS, `status-${name}.png`), fullPage: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
  }
}
