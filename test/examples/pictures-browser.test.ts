import { expect, jest, test } from '@jest/globals';
import { inBrowser } from './pictures-page.js';

jest.setTimeout(60_000);

inBrowser('the pictures in a browser', [], (stage) => {
  const { signIn, pictures, messages, result, buttons, press, says, opened, openAll, overflow } = stage;

  test('sign in, consent, see the pictures and how it came to this', async () => {
    await signIn();
    expect(await stage.page.locator('#who').innerText()).toBe('Ada · pictures:read pictures:write');
    expect(await pictures().count()).toBe(6);
    const drawn =
      '[...document.querySelectorAll(".picture img")].map((image) => image.decode().then(() => image.naturalWidth))';
    expect(await stage.page.evaluate<number[]>(`Promise.all(${drawn})`)).toEqual(Array(6).fill(480));
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
    expect(tokens).toMatch(new RegExp(`aud\\s+${stage.storage}`));
    expect(tokens).toMatch(/sub\s+ada/);
  });

  test('edit a picture and save it', async () => {
    await signIn();
    await pictures().first().click();
    const dialog = stage.page.getByRole('dialog', { name: 'Lake at sunrise' });
    await dialog.getByLabel('Sepia').check();
    await dialog.getByLabel('Mirrored').check();
    expect(await dialog.locator('img').getAttribute('class')).toBe('look-sepia mirrored');
    await dialog.getByRole('button', { name: 'Save to the storage' }).click();
    await dialog.getByText('Saved in the storage.').waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    expect(await messages(4).innerText()).toMatch(/PUT \/pictures\/\w+\s+200 OK/);
    expect(await pictures().first().locator('img').getAttribute('src')).toContain('v=sepia-mirrored');
    await stage.page.reload();
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
      expect(exchange).toContain(`WWW-Authenticate: Bearer realm="${stage.storage}"`);
      expect(exchange).toMatch(new RegExp(`realm\\s+${stage.storage}`));
      expect(exchange).toContain(`What to do: ${advice}`);
    }
    expect(await buttons()).toEqual(refusals.map(([name]) => name));
    expect(await stage.page.locator('main').innerText()).not.toContain('introspection');
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
    await stage.page.goto(stage.editor);
    await stage.page.getByRole('link', { name: 'Sign in', exact: true }).click();
    await stage.page.getByRole('button', { name: 'Cancel' }).click();
    await stage.page.getByText('You refused.').waitFor();
    await messages(2).getByText('GET /callback').click();
    expect(await opened(2)).toMatch(/error\s+access_denied/);
    await stage.page.getByRole('button', { name: 'Two tokens' }).focus();
    await stage.page.keyboard.press('Enter');
    await says('refusals', 'Sign in first');
  });

  test('with the keyboard alone', async () => {
    const { keyboard } = stage.page;
    const focused = () => stage.page.evaluate<string>('document.activeElement.textContent.trim()');
    /** Tab after Tab, as a person does who sees where the focus is. */
    async function tabTo(text: string): Promise<void> {
      for (let presses = 0; (await focused()) !== text; presses++) {
        if (presses === 40) throw new Error(`the focus never came to ${text}`);
        await keyboard.press('Tab');
        expect(await stage.page.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle')).not.toBe(
          'none',
        );
      }
    }
    await stage.page.goto(stage.editor);
    await keyboard.press('Tab');
    expect(await focused()).toBe('Skip to the story');
    await tabTo('Sign in');
    await keyboard.press('Enter');
    await stage.page.locator('#name:focus').waitFor(); // the first field gets the focus, a moment after it is there
    await keyboard.type('ada');
    await keyboard.press('Tab');
    await keyboard.type('mountain lake');
    await keyboard.press('Enter');
    await stage.page.getByRole('button', { name: 'Allow' }).waitFor();
    await tabTo('Allow');
    await keyboard.press('Enter');
    await pictures().first().waitFor();
    await tabTo('Northern lights');
    await keyboard.press('Enter');
    const dialog = stage.page.getByRole('dialog', { name: 'Northern lights' });
    await dialog.waitFor();
    await stage.page.keyboard.press('ArrowRight'); // the radio buttons have the focus
    expect(await dialog.getByLabel('Sepia').isChecked()).toBe(true);
    await keyboard.press('Tab');
    await tabTo('Save to the storage');
    await keyboard.press('Enter');
    await dialog.getByText('Saved in the storage.').waitFor();
    await keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
  });

  test.each(['light', 'dark'] as const)('fits on a phone of 360 pixels (%s)', async (colorScheme) => {
    await stage.page.setViewportSize({ width: 360, height: 740 });
    await stage.page.emulateMedia({ colorScheme });
    await stage.page.goto(`${stage.editor}/sign-in`);
    expect(await overflow()).toBeLessThanOrEqual(0);
    await signIn();
    await press('Tampered token');
    await says('refusals', 'wrong signature');
    await press('Run the nightly job');
    await says('job', 'The job counted');
    await openAll();
    expect(await overflow()).toBeLessThanOrEqual(0);
  });

  test('signing out ends it', async () => {
    await signIn();
    await stage.page.waitForLoadState('networkidle'); // a picture that is still on its way would be refused
    await press('Sign out');
    await pictures().first().waitFor({ state: 'hidden' });
    await stage.page.getByText('Nobody is signed in').waitFor();
    expect(await pictures().count()).toBe(0);
    expect((await stage.page.request.get(`${stage.editor}/pictures`)).status()).toBe(401);
  });
});
