import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { startProgram } from './pictures-program.js';
import type { Program } from './pictures-program.js';

jest.setTimeout(60_000);

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];
const QUIET = ['--disable-component-update', '--disable-sync'];

function findChromium(): string | undefined {
  const inPath = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'chromium'));
  return [process.env['CHROMIUM'] ?? '', '/usr/bin/chromium', ...inPath].find(
    (path) => path !== '' && existsSync(path),
  );
}

const executablePath = findChromium();
// In continuous integration a missing browser is a failure, of the first test that wants it.
const skipped = executablePath === undefined && process.env['CI'] === undefined;
if (skipped)
  process.stderr.write('pictures-browser.test.ts is skipped: there is no Chromium (set CHROMIUM to its path)\n');

(skipped ? describe.skip : describe)('the pictures in a browser', () => {
  let program: Program | undefined;
  let browser: Browser | undefined;
  let context: BrowserContext | undefined;
  let page: Page;
  let complaints: string[];
  let editor: string;
  let storage: string;

  beforeAll(async () => {
    if (executablePath === undefined) throw new Error('there is no Chromium: set CHROMIUM to its path');
    program = await startProgram();
    ({ editor, storage } = program);
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

  async function signIn(name = 'ada', password = 'mountain lake'): Promise<void> {
    await page.goto(editor);
    await page.getByRole('banner').getByRole('link', { name: 'Sign in' }).click();
    await page.getByLabel('Name').fill(name);
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: 'Allow' }).click();
    await pictures().first().waitFor();
  }

  const pictures = () => page.getByRole('list', { name: 'Your pictures' }).getByRole('button');
  const messages = (step: number) => page.getByRole('list', { name: `Messages of step ${step}` });
  const result = (step: string) => page.locator(`[data-result="${step}"]`);
  const press = (name: string) => page.getByRole('button', { name, exact: true }).click();

  /** Waits for a text to appear, for the page answers in its own time. */
  async function says(step: string, text: string): Promise<void> {
    await result(step).filter({ hasText: text }).waitFor();
  }

  /** The text of the exchange that was opened last, or of the one that has `text`. */
  async function opened(step: number, text = ''): Promise<string> {
    const exchange = messages(step).locator('.exchange[open]', { hasText: text }).last();
    await exchange.locator('.message').last().waitFor();
    return exchange.innerText();
  }

  async function overflow(): Promise<number> {
    return page.evaluate<number>('document.documentElement.scrollWidth - window.innerWidth');
  }

  test('sign in, consent, see the pictures and how it came to this', async () => {
    await signIn();
    expect(await page.locator('#who').innerText()).toBe('Ada · pictures:read pictures:write');
    expect(await pictures().count()).toBe(6);
    const drawn =
      '[...document.querySelectorAll(".picture img")].map((image) => image.decode().then(() => image.naturalWidth))';
    expect(await page.evaluate<number[]>(`Promise.all(${drawn})`)).toEqual(Array(6).fill(480));
    expect(await messages(1).innerText()).toContain('GET /sign-in');
    expect(await messages(2).innerText()).toContain('GET /callback');
    expect(await messages(3).innerText()).toContain('POST /token');
    expect(await messages(4).innerText()).toContain('GET /jwks');

    await messages(1).getByText('GET /sign-in').click();
    expect(await opened(1)).toMatch(/code_challenge_method\s+S256/);
    await messages(3).getByText('POST /token').click();
    const tokens = await opened(3);
    expect(tokens).toContain('authorization: Basic (client id and secret, masked)');
    expect(tokens).toMatch(/typ\s+at\+jwt/);
    expect(tokens).toMatch(new RegExp(`aud\\s+${storage}`));
    expect(tokens).toMatch(/sub\s+ada/);
  });

  test('edit a picture and save it', async () => {
    await signIn();
    await pictures().first().click();
    const dialog = page.getByRole('dialog', { name: 'Lake at sunrise' });
    await dialog.getByLabel('Sepia').check();
    await dialog.getByLabel('Mirrored').check();
    expect(await dialog.locator('img').getAttribute('class')).toBe('look-sepia mirrored');
    await dialog.getByRole('button', { name: 'Save to the storage' }).click();
    await dialog.getByText('Saved in the storage.').waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    expect(await messages(4).innerText()).toMatch(/PUT \/pictures\/\w+\s+200 OK/);
    expect(await pictures().first().locator('img').getAttribute('src')).toContain('v=sepia-mirrored');
    await page.reload();
    await pictures().first().click();
    expect(await dialog.getByLabel('Sepia').isChecked()).toBe(true);
  });

  test('every refusal shows its status and its challenge', async () => {
    await signIn('ben', 'harbour moon');
    const refusals = [
      ['No token', '401 Unauthorized', 'with a challenge: a token is needed.', 'get a token'],
      ['Expired token', '401 Unauthorized', 'invalid_token. The access token expired.', 'throw this token away'],
      [
        'Wrong scope',
        '403 Forbidden',
        'insufficient_scope. The access token lacks a required scope.',
        'keep the token',
      ],
      [
        'Two tokens',
        '400 Bad Request',
        'invalid_request. The Authorization header must be sent once.',
        'mend the request',
      ],
      [
        'Tampered token',
        '401 Unauthorized',
        'invalid_token. The access token has a wrong signature.',
        'throw this token away',
      ],
    ] as const;
    for (const [name, status, text, advice] of refusals) {
      await press(name);
      await says('refusals', text);
      expect(await result('refusals').innerText()).toContain(status);
      const exchange = await opened(5);
      expect(exchange).toContain(`WWW-Authenticate: Bearer realm="${storage}"`);
      expect(exchange).toMatch(new RegExp(`realm\\s+${storage}`));
      expect(exchange).toContain(`What to do: ${advice}`);
    }
    await messages(5).locator('summary', { hasText: 'PUT /pictures' }).click();
    expect(await opened(5, 'PUT /pictures')).toMatch(/scope\s+pictures:write/);
  });

  test('refresh, and the nightly job', async () => {
    await signIn();
    await press('Use the refresh token');
    await says('refresh', 'A new access token, and a new refresh token.');
    expect(await opened(6)).toMatch(/grant_type\s+refresh_token/);
    await press('Run the nightly job');
    await says('job', 'The job counted');
    expect(await result('job').innerText()).toMatch(/counted \d+ pictures of \d people, \d of them edited\./);
    await messages(7).getByText('POST /token').click();
    expect(await opened(7, 'POST /token')).toMatch(/sub\s+nightly-job/);
  });

  test('who refuses consent reads what came of it', async () => {
    await page.goto(editor);
    await page.getByRole('link', { name: 'Sign in', exact: true }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('You refused.').waitFor();
    await messages(2).getByText('GET /callback').click();
    expect(await opened(2)).toMatch(/error\s+access_denied/);
    await page.getByRole('button', { name: 'Two tokens' }).focus();
    await page.keyboard.press('Enter');
    await says('refusals', 'Sign in first');
  });

  test('with the keyboard alone', async () => {
    const { keyboard } = page;
    const focused = () => page.evaluate<string>('document.activeElement.textContent.trim()');
    /** Tab after Tab, as a person does who sees where the focus is. */
    async function tabTo(text: string): Promise<void> {
      for (let presses = 0; (await focused()) !== text; presses++) {
        if (presses === 40) throw new Error(`the focus never came to ${text}`);
        await keyboard.press('Tab');
        expect(await page.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle')).not.toBe('none');
      }
    }
    await page.goto(editor);
    await keyboard.press('Tab');
    expect(await focused()).toBe('Skip to the story');
    await tabTo('Sign in');
    await keyboard.press('Enter');
    await page.getByLabel('Password').waitFor();
    await keyboard.type('ada'); // the first field has the focus
    await keyboard.press('Tab');
    await keyboard.type('mountain lake');
    await keyboard.press('Enter');
    await page.getByRole('button', { name: 'Allow' }).waitFor();
    await tabTo('Allow');
    await keyboard.press('Enter');
    await pictures().first().waitFor();
    await tabTo('Northern lights');
    await keyboard.press('Enter');
    const dialog = page.getByRole('dialog', { name: 'Northern lights' });
    await dialog.waitFor();
    await page.keyboard.press('ArrowRight'); // the radio buttons have the focus
    expect(await dialog.getByLabel('Sepia').isChecked()).toBe(true);
    await keyboard.press('Tab');
    await tabTo('Save to the storage');
    await keyboard.press('Enter');
    await dialog.getByText('Saved in the storage.').waitFor();
    await keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
  });

  test.each(['light', 'dark'] as const)('fits on a phone of 360 pixels (%s)', async (colorScheme) => {
    await page.setViewportSize({ width: 360, height: 740 });
    await page.emulateMedia({ colorScheme });
    await page.goto(`${editor}/sign-in`);
    expect(await overflow()).toBeLessThanOrEqual(0);
    await signIn();
    await press('Tampered token');
    await says('refusals', 'wrong signature');
    await press('Run the nightly job');
    await says('job', 'The job counted');
    for (const summary of await page.locator('summary').all()) if (await summary.isVisible()) await summary.click();
    expect(await overflow()).toBeLessThanOrEqual(0);
  });

  test('signing out ends it', async () => {
    await signIn();
    await press('Sign out');
    await page.getByText('Nobody is signed in').waitFor();
    expect(await pictures().count()).toBe(0);
    expect((await page.request.get(`${editor}/pictures`)).status()).toBe(401);
  });
});
