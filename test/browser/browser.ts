import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';
import type { FileServer } from '../../src/cli/serve-files.ts';
import { startServer } from './server.ts';

/** The system's Chromium. */
export const executable = process.env.FARFIELD_CHROMIUM ?? '/usr/bin/chromium';

/** Whether there is a browser to test in; tests without one are reported as skipped. */
export const hasChromium = existsSync(executable);

export const launchArguments = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A page of real Chromium that runs the programs in test/browser/programs. */
export class TestPage implements AsyncDisposable {
  readonly #browser: Browser;
  readonly #server: FileServer;
  readonly #page: Page;
  readonly #troubles: string[] = [];

  private constructor(browser: Browser, server: FileServer, page: Page) {
    this.#browser = browser;
    this.#server = server;
    this.#page = page;
    page.on('pageerror', (error) => this.#troubles.push(error.stack ?? error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.#troubles.push(message.text());
    });
    page.on('response', (response) => {
      if (response.status() >= 400) this.#troubles.push(`${response.status()} ${response.url()}`);
    });
  }

  /** `isolated`: whether the page may use SharedArrayBuffer. Default true. */
  static async open(options: { readonly isolated?: boolean } = {}): Promise<TestPage> {
    const server = await startServer({ isolated: options.isolated ?? true });
    const browser = await chromium.launch({ executablePath: executable, args: launchArguments });
    const page = await browser.newPage();
    const opened = new TestPage(browser, server, page);
    await page.goto(server.url);
    return opened;
  }

  /** Calls `run(input)` of programs/<name>.ts in the page. Input and result are what JSON can hold. */
  async run<Input, Result>(name: string, input: Input): Promise<Result> {
    const call = `import('/programs/${name}.ts').then((program) => program.run(${JSON.stringify(input)}))`;
    try {
      return (await this.#page.evaluate(call)) as Result;
    } catch (error) {
      const troubles = this.#troubles.map((line) => `\n  ${line}`).join('');
      throw new Error(`programs/${name}.ts failed in the browser: ${error}${troubles}`, { cause: error });
    }
  }

  /** Whether the page may use SharedArrayBuffer. */
  isIsolated(): Promise<boolean> {
    return this.#page.evaluate('crossOriginIsolated');
  }

  /** What the page complained of so far: uncaught errors, console errors and warnings, failed requests. */
  get troubles(): readonly string[] {
    return this.#troubles;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    await this.#server[Symbol.asyncDispose]();
  }
}
