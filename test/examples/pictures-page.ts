import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from '@jest/globals';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import { startProgram } from './pictures-program.js';
import type { Program } from './pictures-program.js';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];
const QUIET = ['--disable-component-update', '--disable-sync'];

/** What tests do with the page, and see there. The functions need no `this`. */
export interface Stage {
  /** New for each test. */
  readonly page: Page;
  readonly editor: string;
  readonly storage: string;
  readonly signIn: (name?: string, password?: string) => Promise<void>;
  readonly pictures: () => Locator;
  readonly messages: (step: number) => Locator;
  readonly result: (step: string) => Locator;
  /** The refusals that are offered. */
  readonly buttons: () => Promise<string[]>;
  readonly press: (name: string) => Promise<void>;
  /** Waits for a text to appear, for the page answers in its own time. */
  readonly says: (step: string, text: string) => Promise<void>;
  /** The text of the exchange that was opened last, or of the one that has `text`. */
  readonly opened: (step: number, text?: string) => Promise<string>;
  readonly openAll: () => Promise<void>;
  /** By how much the page is wider than the window. */
  readonly overflow: () => Promise<number>;
}

/** Tests in Chromium, with the example started with `args`. Skipped, visibly, where there is no Chromium. */
export function inBrowser(title: string, args: readonly string[], define: (stage: Stage) => void): void {
  const executablePath = findChromium();
  // In continuous integration a missing browser is a failure, of the first test that wants it.
  const skipped = executablePath === undefined && process.env['CI'] === undefined;
  if (skipped) process.stderr.write(`"${title}" is skipped: there is no Chromium (set CHROMIUM to its path)\n`);

  (skipped ? describe.skip : describe)(title, () => {
    let program: Program | undefined;
    let browser: Browser | undefined;
    let context: BrowserContext | undefined;
    let page: Page | undefined;
    let complaints: string[];

    beforeAll(async () => {
      if (executablePath === undefined) throw new Error('there is no Chromium: set CHROMIUM to its path');
      program = await startProgram(...args);
      browser = await chromium.launch({ executablePath, args: [...FLAGS, ...QUIET] });
    });

    afterAll(async () => {
      await browser?.close();
      await program?.stop('SIGKILL');
    });

    beforeEach(async () => {
      if (browser === undefined) throw new Error('the browser has not started');
      context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
      page = await context.newPage();
      page.setDefaultTimeout(15_000);
      complaints = [];
      page.on('console', (message) => {
        if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
      });
      page.on('pageerror', (error) => {
        complaints.push(error.message);
      });
    });

    afterEach(async () => {
      await context?.close();
      expect(complaints).toEqual([]);
    });

    define(stageOf(
      () => started(page),
      () => started(program),
    ));
  });
}

function started<T>(thing: T | undefined): T {
  if (thing === undefined) throw new Error('nothing has started yet');
  return thing;
}

function findChromium(): string | undefined {
  const inPath = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'chromium'));
  return [process.env['CHROMIUM'] ?? '', '/usr/bin/chromium', ...inPath].find(
    (path) => path !== '' && existsSync(path),
  );
}

function stageOf(page: () => Page, program: () => Program): Stage {
  const pictures = () => page().getByRole('list', { name: 'Your pictures' }).getByRole('button');
  const messages = (step: number) => page().getByRole('list', { name: `Messages of step ${step}` });
  const result = (step: string) => page().locator(`[data-result="${step}"]`);

  return {
    get page() {
      return page();
    },
    get editor() {
      return program().editor;
    },
    get storage() {
      return program().storage;
    },
    pictures,
    messages,
    result,
    signIn: async (name = 'ada', password = 'mountain lake') => {
      await page().goto(program().editor);
      await page().getByRole('banner').getByRole('link', { name: 'Sign in' }).click();
      await page().getByLabel('Name').fill(name);
      await page().getByLabel('Password').fill(password);
      await page().getByRole('button', { name: 'Sign in' }).click();
      await page().getByRole('button', { name: 'Allow' }).click();
      await pictures().first().waitFor();
    },
    buttons: () => page().locator('#refusals').getByRole('button').allInnerTexts(),
    press: (name) => page().getByRole('button', { name, exact: true }).click(),
    says: (step, text) => result(step).filter({ hasText: text }).waitFor(),
    opened: async (step, text = '') => {
      const exchange = messages(step).locator('.exchange[open]', { hasText: text }).last();
      await exchange.locator('.message').last().waitFor();
      return exchange.innerText();
    },
    openAll: async () => {
      for (const summary of await page().locator('summary').all()) if (await summary.isVisible()) await summary.click();
    },
    overflow: () => page().evaluate<number>('document.documentElement.scrollWidth - window.innerWidth'),
  };
}
