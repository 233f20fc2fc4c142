import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Browser, chromium, type Page } from 'playwright-core';
import { FIRST_STATE, type PageState, stateToHash } from '../../explorer/src/state/page-state.ts';
import type { FileServer } from '../../src/cli/serve-files.ts';
import { serveFolders } from '../../src/cli/serve-folders.ts';
import { executable, launchArguments } from '../browser/browser.ts';

const vite = fileURLToPath(new URL('../../node_modules/vite/bin/vite.js', import.meta.url));
const root = fileURLToPath(new URL('../../explorer', import.meta.url));
const models = fileURLToPath(new URL('../../models', import.meta.url));

/** The built explorer in real Chromium: one for all tests of one file. */
export class ExplorerPage implements AsyncDisposable {
  readonly page: Page;
  readonly url: string;
  /** What the page complained of: uncaught errors, console errors and warnings. */
  readonly troubles: string[] = [];
  readonly #folder: string;
  readonly #server: FileServer;
  readonly #browser: Browser;

  private constructor(folder: string, server: FileServer, browser: Browser, page: Page) {
    this.#folder = folder;
    this.#server = server;
    this.#browser = browser;
    this.page = page;
    this.url = server.url;
    page.on('pageerror', (error) => this.troubles.push(error.stack ?? String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.troubles.push(message.text());
    });
  }

  static async start(): Promise<ExplorerPage> {
    const folder = await mkdtemp(join(tmpdir(), 'farfield-explorer-'));
    const outDir = join(folder, 'dist');
    // In a process of its own, because the tests' environment makes Svelte build for development.
    await promisify(execFile)(process.execPath, [vite, 'build', '--logLevel', 'warn', '--outDir', outDir], {
      cwd: root,
      env: { ...process.env, NODE_ENV: 'production' },
    });
    const server = await serveFolders({ '/': outDir, '/models/': models });
    const browser = await chromium.launch({ executablePath: executable, args: [...launchArguments] });
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    return new ExplorerPage(folder, server, browser, page);
  }

  /** The same page from a server that does not isolate it. */
  serveWithoutIsolation(): Promise<FileServer> {
    return serveFolders({ '/': join(this.#folder, 'dist') }, { isIsolated: false });
  }

  /** Opens a state afresh: fields of FIRST_STATE where they are not given. */
  async open(state: Partial<PageState>): Promise<void> {
    await this.page.goto('about:blank');
    await this.page.goto(`${this.url}${stateToHash({ ...FIRST_STATE, ...state })}`);
    await this.page.waitForSelector(`[role=tab][aria-selected=true]`);
  }

  /** Waits until the address holds a state. */
  async hasAddress(state: Partial<PageState>): Promise<void> {
    const hash = stateToHash({ ...FIRST_STATE, ...state });
    await this.page.waitForFunction((hash) => location.hash === hash, hash);
  }

  /** Rules of axe that the page breaks, with the elements that do. */
  async axe(): Promise<string[]> {
    const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
    await this.page.evaluate(await readFile(axe, 'utf8'));
    // Colours that still change have no contrast yet.
    await this.page.evaluate(async () => {
      const changing = document.getAnimations().filter((animation) => animation instanceof CSSTransition);
      await Promise.all(changing.map(({ finished }) => finished.catch(() => {})));
    });
    return this.page.evaluate(
      'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + " " + nodes.map((node) => node.html).join()))',
    );
  }

  /** Keeps a picture of the whole page in the folder FARFIELD_SHOTS, where that is set. */
  async shoot(name: string): Promise<void> {
    const shots = process.env.FARFIELD_SHOTS;
    if (shots !== undefined) await this.page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    await this.#server[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
