// @ts-check
// The page: asks the editor's server what has happened, and shows it.
import { outcome, showExchange } from './exchange.js';
import { clearGallery, onSave, openDarkroom, showGallery } from './gallery.js';

/** @typedef {import('./exchange.js').Exchange} Exchange */
/** @typedef {object} Story
 * @property {string} [person]
 * @property {{ scope: string, expiresAt: number }} [access]
 * @property {'refused' | 'failed'} [notice]
 * @property {'jwt' | 'opaque'} tokenFormat of access tokens
 * @property {Record<string, string>} addresses
 * @property {Exchange[]} exchanges
 * @property {import('./gallery.js').Picture[]} [pictures]
 * @property {{ people: number, pictures: number, edited: number }} [count] */

const NOTICES = {
  refused: 'You refused. The editor got an error in place of a code, as step 2 shows, and no token.',
  failed: 'The sign-in did not work. Please try again.',
};

let since = 0;
let expiresAt = 0;
let signedIn = false;

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** Asks the editor's server. Undefined when the person must sign in first.
 * @param {string} path @param {RequestInit} [init] @returns {Promise<Story | undefined>} */
async function ask(path, init) {
  const response = await fetch(`${path}?since=${since}`, init);
  if (response.status === 401) return undefined;
  if (!response.ok) throw new Error(`the editor answered ${response.status}`);
  return response.json();
}

/** @param {Story} story */
function tell({ person, access, notice, tokenFormat, addresses, exchanges }) {
  signedIn = access !== undefined;
  expiresAt = access?.expiresAt ?? 0;
  byId('who').textContent = signedIn ? `${person} · ${access?.scope}` : 'Nobody is signed in';
  byId('notice').textContent = notice === undefined ? '' : NOTICES[notice];
  byId('sign-in').hidden = signedIn;
  byId('sign-out').hidden = !signedIn;
  if (!signedIn) clearGallery();
  for (const place of document.querySelectorAll('[data-only]')) {
    place.toggleAttribute('hidden', place.getAttribute('data-only') !== tokenFormat);
  }
  for (const place of document.querySelectorAll('[data-address]')) {
    place.textContent = addresses[place.getAttribute('data-address') ?? ''] ?? '';
  }
  for (const button of document.querySelectorAll('[data-signed-in]')) {
    button.setAttribute('aria-disabled', String(!signedIn));
    button.setAttribute('title', signedIn ? '' : 'Sign in first');
  }
  for (const exchange of exchanges.filter(({ number }) => number > since)) {
    document.querySelector(`[data-step="${exchange.step}"]`)?.append(showExchange(exchange));
    since = exchange.number;
  }
}

/** @param {Story} story @param {string} step */
const lastOf = ({ exchanges }, step) => exchanges.findLast((exchange) => exchange.step === step);

/** @param {string} step @param {string} text */
function say(step, text) {
  const place = document.querySelector(`[data-result="${step}"]`);
  if (place !== null) place.textContent = text;
}

/** Opens the newest exchange of a step, for that is what the person has asked for. @param {string} step */
function openLast(step) {
  const all = [...document.querySelectorAll(`[data-step="${step}"] .exchange`)];
  all.forEach((details, i) => details.toggleAttribute('open', i === all.length - 1));
  return all.at(-1);
}

/** @param {HTMLElement} button */
async function act(button) {
  const action = button.dataset['action'] ?? '';
  const step = button.closest('section')?.id ?? '';
  if (button.getAttribute('aria-disabled') === 'true') return say(step, 'Sign in first: there is no token yet.');
  if (button.getAttribute('aria-busy') === 'true') return;
  button.setAttribute('aria-busy', 'true');
  say(step, button.dataset['waiting'] ?? 'Asking …');
  try {
    const story = await ask(`/${action}`, { method: 'POST' });
    if (story === undefined) return say(step, 'The authorization server wants to see you again: sign in.');
    tell(story);
    const last = lastOf(story, step);
    openLast(step)?.scrollIntoView();
    say(step, last === undefined ? '' : describe(action, story, last));
  } catch {
    say(step, 'This did not work. Is the program still running?');
  } finally {
    button.removeAttribute('aria-busy');
  }
}

/** @param {string} action @param {Story} story @param {Exchange} last */
function describe(action, { count }, last) {
  if (action === 'refresh') return 'A new access token, and a new refresh token.';
  if (count === undefined) return outcome(last);
  return `The job counted ${count.pictures} pictures of ${count.people} people, ${count.edited} of them edited.`;
}

async function loadPictures() {
  const story = await ask('/pictures');
  if (story === undefined) return;
  tell(story);
  await showGallery(story.pictures ?? [], openDarkroom);
  await update();
}

async function update() {
  const story = await ask('/story');
  if (story !== undefined) tell(story);
}

onSave(async (picture) => {
  const { id, look, mirrored } = picture;
  const headers = { 'content-type': 'application/json' };
  const story = await ask(`/pictures/${id}`, { method: 'PUT', headers, body: JSON.stringify({ look, mirrored }) });
  if (story === undefined) return 'Sign in again to save.';
  tell(story);
  const last = lastOf(story, 'pictures');
  const saved = last?.response.status === 200;
  const text = saved ? 'Saved in the storage.' : last === undefined ? '' : outcome(last);
  say('pictures', text);
  openLast('pictures');
  if (saved) await loadPictures();
  return text;
});

for (const button of document.querySelectorAll('[data-action]')) {
  button.addEventListener('click', () => act(/** @type {HTMLElement} */ (button)));
}

byId('sign-out').addEventListener('click', async () => {
  await fetch('/sign-out', { method: 'POST' });
  location.assign('/');
});

window.setInterval(() => {
  const seconds = Math.max(0, Math.round((expiresAt - Date.now()) / 1000));
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  byId('lifetime').textContent = signedIn ? `Yours ends in ${clock}.` : '';
}, 1000);

await update();
if (signedIn) await loadPictures();
document.getElementById(location.hash.slice(1))?.scrollIntoView();
