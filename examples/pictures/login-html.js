// @ts-check
// The pages of the authorization server, as plain HTML forms.

/** @param {unknown} text */
const escape = (text) => String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

/** Escapes every value that is put in, except what `html` itself has made.
 * @param {TemplateStringsArray} strings @param {unknown[]} values */
function html(strings, ...values) {
  const parts = values.map((value) =>
    [value]
      .flat()
      .map((v) => (v instanceof Html ? v.text : escape(v)))
      .join(''),
  );
  return new Html(String.raw({ raw: strings }, ...parts));
}

class Html {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/** @param {string} title @param {Html} content */
function page(title, content) {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} · Authorization server</title>
        <link rel="icon" href="/icon.svg" />
        <link rel="stylesheet" href="/style.css" />
      </head>
      <body class="door">
        <main class="card">
          <p class="party party-as">Authorization server</p>
          <h1>${title}</h1>
          ${content}
        </main>
      </body>
    </html>`.text;
}

/** @param {string} uid @param {readonly { id: string, password: string }[]} people @param {string} [problem] */
export function loginPage(uid, people, problem) {
  return page(
    'Sign in',
    html`<p>The <strong>photo editor</strong> has sent you here. It will not see your password.</p>
      ${problem === undefined ? '' : html`<p class="problem" role="alert">${problem}</p>`}
      <form method="post" action="/interaction/${uid}/login">
        <label for="name">Name</label>
        <input
          id="name"
          name="name"
          autocomplete="username"
          autocapitalize="none"
          spellcheck="false"
          required
          autofocus
        />
        <label for="password">Password</label>
        <input id="password" name="password" type="password" autocomplete="current-password" required />
        <button class="primary">Sign in</button>
      </form>
      <form method="post" action="/interaction/${uid}/refuse"><button class="quiet">Cancel</button></form>
      <aside class="hint">
        <p>This is an example. These people have an account:</p>
        <ul>
          ${people.map(({ id, password }) => html`<li><code>${id}</code> with the password <code>${password}</code></li>`)}
        </ul>
      </aside>`,
  );
}

/** @param {{ uid: string, params: Record<string, unknown>, session?: { accountId: string } | undefined }} interaction */
export function consentPage({ uid, params, session }) {
  return page(
    'May the photo editor use your pictures?',
    html`<p>
        You are <strong>${session?.accountId}</strong>. The <strong>photo editor</strong> asks for access to your
        pictures at <code>${params['resource']}</code>:
      </p>
      <form method="post" action="/interaction/${uid}/consent">
        <ul class="wishes">
          <li><span>See your pictures</span> <code>pictures:read</code></li>
          <li>
            <label><input type="checkbox" name="write" value="yes" checked /> Change your pictures</label>
            <code>pictures:write</code>
          </li>
          <li><span>Keep this access while you are away</span> <code>offline_access</code></li>
          <li><span>Know your name</span> <code>openid profile</code></li>
        </ul>
        <button class="primary">Allow</button>
      </form>
      <form method="post" action="/interaction/${uid}/refuse"><button class="quiet">Refuse</button></form>`,
  );
}

/** @param {string} error @param {string} [description] */
export function errorPage(error, description = 'Something went wrong.') {
  return page(
    'This did not work',
    html`<p class="problem" role="alert">${description}</p>
      <p>The code of this error is <code>${error}</code>.</p>`,
  );
}
