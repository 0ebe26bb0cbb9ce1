import { expect, jest, test } from '@jest/globals';
import { inBrowser } from './pictures-page.js';

jest.setTimeout(60_000);

inBrowser('the pictures with opaque tokens, in a browser', ['--opaque'], (stage) => {
  const { signIn, pictures, messages, buttons, press, says, opened, openAll, overflow } = stage;

  test('sign in, see the pictures, and read what the storage asks', async () => {
    await signIn();
    expect(await pictures().count()).toBe(6);
    await messages(3).getByText('POST /token').click();
    const tokens = await opened(3);
    expect(tokens).toContain('The token is opaque: a random string.');
    expect(tokens).toContain('The ID token: claims');
    expect(tokens).not.toContain('The access token:');

    await messages(4).locator('summary', { hasText: 'POST /token/introspection' }).first().click();
    const question = await opened(4, 'POST /token/introspection');
    expect(question).toContain('authorization: Basic (client id and secret, masked)');
    expect(question).toContain('The storage cannot read the token, so it asks the server that issued it.');
    expect(question).toMatch(/token_type_hint\s+access_token/);
    expect(question).toContain('The authorization server calls the token good.');
    expect(question).toMatch(/active\s+true/);
    expect(question).toMatch(/sub\s+ada/);
    expect(question).toMatch(new RegExp(`aud\\s+${stage.storage}`));
    expect(question).toContain('further requests with this token ask nobody');

    const calls = messages(4).locator('.exchange', { hasText: 'GET /pictures' });
    await calls.nth(6).waitFor(); // the list, and six pictures
    expect(await calls.count()).toBe(7);
    for (const call of await calls.all()) await call.locator('summary').click();
    await calls.last().locator('.message').last().waitFor();
    const read = await calls.allInnerTexts();
    expect(read[0]).toContain('The storage asked the authorization server about the token before it answered');
    // The pictures come all at once: if the answer has become too old, one of them asks for all.
    expect(read.filter((text) => text.includes('The storage asked nobody')).length).toBeGreaterThanOrEqual(5);
    for (const text of read) {
      expect(text).toContain('The token is opaque');
      expect(text).not.toContain('decoded');
    }
  });

  test('every refusal that makes sense is offered, and says why', async () => {
    await signIn('ben', 'harbour moon');
    const refusals = [
      ['No token', '401 Unauthorized, with a challenge: a token is needed.'],
      ['Expired token', '401 Unauthorized: invalid_token. The access token is not active.'],
      ['Wrong scope', '403 Forbidden: insufficient_scope. The access token lacks a required scope.'],
      ['Two tokens', '400 Bad Request: invalid_request. The Authorization header must be sent once.'],
      ['Guessed token', '401 Unauthorized: invalid_token. The access token is not active.'],
      ['Refresh token', '401 Unauthorized: invalid_token. The token is not an access token by its type.'],
      ['Revoked token', '401 Unauthorized: invalid_token. The access token is not active.'],
    ] as const;
    expect((await buttons()).sort()).toEqual(refusals.map(([name]) => name).sort());
    for (const [name, text] of refusals) {
      const before = await messages(5).locator('.exchange').count();
      await press(name);
      await messages(5).locator('.exchange').nth(before).waitFor();
      await says('refusals', text);
      expect(await opened(5)).toContain(`WWW-Authenticate: Bearer realm="${stage.storage}"`);
    }
    const exchanges = messages(5).locator('.exchange');
    const summaries = (await exchanges.locator('> summary').allInnerTexts()).map((text) => text.replace(/\s+/g, ' '));
    const revocation = summaries.findIndex((text) => text.includes('POST /token/revocation'));
    expect(summaries.slice(revocation - 1)).toEqual([
      'nightly job → storage GET /count 200 OK',
      'nightly job → authorization server POST /token/revocation 200 OK',
      'nightly job → storage GET /count 200 OK',
      'storage → authorization server POST /token/introspection 200 OK',
      'nightly job → storage GET /count 401 Unauthorized',
    ]);
    await exchanges
      .nth(revocation + 1)
      .locator('> summary')
      .click();
    await exchanges
      .nth(revocation + 2)
      .locator('> summary')
      .click();
    expect(await opened(5, '200 OK')).toContain('expired, revoked, or was never issued');
    expect(await exchanges.nth(revocation + 1).innerText()).toContain('The storage asked nobody');
  });

  test('fits on a phone of 360 pixels', async () => {
    await stage.page.setViewportSize({ width: 360, height: 740 });
    await signIn();
    await press('Refresh token');
    await says('refusals', 'not an access token by its type');
    await press('Run the nightly job');
    await says('job', 'The job counted');
    await openAll();
    expect(await messages(5).innerText()).toContain('Active, but there is no token_type: this is a refresh token.');
    expect(await overflow()).toBeLessThanOrEqual(0);
  });
});
