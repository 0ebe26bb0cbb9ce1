// @ts-check
// Shows one exchange: who talks to whom, both messages, and what is in them.
import { decodeToken, members, parameters, takeChallengeApart } from './decode.js';
import { element } from './element.js';
import { ADVICE, CHALLENGE, CLAIMS, INTROSPECTED, INTROSPECTION, PARAMETERS } from './explain.js';

/** @typedef {import('../wire.js').Exchange} Exchange @typedef {import('../wire.js').Message} Message */

const LONGEST_BODY = 1500;
/** Headers that the story is about. */
const TELLING = ['authorization', 'www-authenticate', 'location'];

/** @param {Exchange} exchange */
export function showExchange(exchange) {
  const { from, to, request, response } = exchange;
  const [method = '', target = ''] = request.line.split(' ');
  const summary = element(
    'summary',
    {},
    element('span', { class: 'who' }, party(from), element('span', { class: 'arrow' }, ' → '), party(to)),
    element('code', { class: 'what' }, `${method} ${target.split('?', 1)[0]}`),
    element(
      'span',
      { class: `status status-${Math.floor(response.status / 100)}` },
      response.line.split(' ').slice(1).join(' '),
    ),
  );
  const details = element('details', { class: 'exchange' }, summary);
  // Filled in when it is opened: most never are, and some are long.
  details.addEventListener('toggle', () => {
    if (details.childElementCount > 1) return;
    details.append(side('Request', request, requestParts(exchange)), side('Answer', response, answerParts(exchange)));
  });
  return element('li', {}, details);
}

/** The error of an answer, in one line. @param {Exchange} exchange */
export function outcome({ response }) {
  const [challenge] = challenges(response);
  const part = (/** @type {string} */ name) => challenge?.parts.find((found) => found.name === name)?.value;
  const status = response.line.split(' ').slice(1).join(' ');
  if (challenge === undefined) return `${status}.`;
  return part('error') === undefined
    ? `${status}, with a challenge: a token is needed.`
    : `${status}: ${part('error')}. ${part('error_description')}.`;
}

/** @param {string} name */
function party(name) {
  const short = { 'authorization server': 'as', 'nightly job': 'job' }[name] ?? name;
  return element('span', { class: `party party-${short}` }, name);
}

/** @param {string} title @param {Message} message @param {Node[]} parts */
function side(title, { line, headers, body }, parts) {
  const text = element('pre', { tabindex: '0', role: 'group', 'aria-label': title }, element('b', {}, line), '\n');
  for (const [name, value] of headers) {
    const kind = TELLING.includes(name.toLowerCase()) ? 'header telling' : 'header';
    text.append(element('span', { class: kind }, element('span', { class: 'name' }, `${name}: `), value), '\n');
  }
  if (body !== '') text.append('\n', readable(body));
  return element('section', { class: 'message' }, element('h3', {}, title), text, ...parts);
}

/** JSON gets line breaks, what is long gets cut. @param {string} body */
function readable(body) {
  const text = body.startsWith('{') || body.startsWith('[') ? JSON.stringify(JSON.parse(body), null, 2) : body;
  return text.length <= LONGEST_BODY ? text : `${text.slice(0, LONGEST_BODY)} … (${text.length} characters in all)`;
}

/** @param {Exchange} exchange */
function requestParts({ from, request }) {
  const { line, headers, body } = request;
  const query = line.split(' ')[1]?.split('?')[1] ?? '';
  const form = headers.some(([name, value]) => /^content-type$/i.test(name) && value.includes('urlencoded'))
    ? body
    : '';
  const bearer = bearerOf(request);
  return [
    table('The parameters of the address', parameters(query), PARAMETERS),
    isQuestion(from, request) ? words(INTROSPECTION.question) : undefined,
    table('The parameters of the form', parameters(form), PARAMETERS),
    isOpaque(bearer) ? words(INTROSPECTION.opaque) : undefined,
    folded('The access token, decoded', token('The access token', bearer)),
  ].filter(isThere);
}

/** @param {Message} request */
function bearerOf({ headers }) {
  return headers.find(([name, value]) => /^authorization$/i.test(name) && /^bearer /i.test(value))?.[1].slice(7);
}

/** @param {string | undefined} text a token, if there is one */
const isOpaque = (text) => text !== undefined && decodeToken(text) === undefined;

/** Whether the storage asks about a token. RFC 7662 section 2.1. @param {string} from @param {Message} request */
const isQuestion = (from, { body }) => from === 'storage' && new URLSearchParams(body).has('token');

/** How the storage has found out about an opaque token. A malformed request (400) is refused before. @param {Exchange} call */
function finding({ request, response, questions }) {
  if (questions === undefined || response.status === 400 || !isOpaque(bearerOf(request))) return undefined;
  return words(questions > 0 ? INTROSPECTION.asked : INTROSPECTION.remembered);
}

/** What the storage is told about a token. @param {Exchange} exchange */
function introspected({ from, request, response }) {
  if (!isQuestion(from, request) || response.status !== 200) return [];
  const answer = JSON.parse(response.body);
  const { active, noAccessToken, inactive } = INTROSPECTION;
  return [
    words(answer.active !== true ? inactive : answer.token_type === undefined ? noAccessToken : active),
    table('What the token stands for', members(answer), INTROSPECTED),
  ];
}

/** @param {Exchange} exchange */
function answerParts(exchange) {
  const { response } = exchange;
  const location = response.headers.find(([name]) => name.toLowerCase() === 'location')?.[1] ?? '';
  const apart = challenges(response).flatMap(({ scheme, parts }) => [
    table(`The challenge: scheme ${scheme}`, parts, CHALLENGE),
    words(ADVICE[parts.find(({ name }) => name === 'error')?.value ?? ''] ?? ''),
  ]);
  const body = response.body.includes('"access_token"') ? JSON.parse(response.body) : {};
  const answer = Object.entries(body).map(([name, value]) => ({ name, value: shorten(String(value)) }));
  return [
    table('The parameters of the new address', parameters(location.split('?')[1] ?? ''), PARAMETERS),
    finding(exchange),
    ...introspected(exchange),
    ...apart,
    table('The answer', answer, PARAMETERS),
    isOpaque(body.access_token) ? words(INTROSPECTION.opaque) : undefined,
    ...token('The access token', body.access_token),
    ...token('The ID token', body.id_token),
  ].filter(isThere);
}

/** @param {Message} response */
function challenges({ headers }) {
  return headers
    .filter(([name]) => name.toLowerCase() === 'www-authenticate')
    .map(([, value]) => takeChallengeApart(value));
}

/** @param {string} title @param {string | undefined} text */
function token(title, text) {
  const decoded = text === undefined ? undefined : decodeToken(text);
  if (decoded === undefined) return [];
  return [table(`${title}: header`, decoded.header, CLAIMS), table(`${title}: claims`, decoded.claims, CLAIMS)];
}

/** Requests carry the same token again and again. @param {string} title @param {(Node | undefined)[]} content */
function folded(title, content) {
  const nodes = content.filter((node) => node !== undefined);
  return nodes.length === 0
    ? undefined
    : element('details', { class: 'decoded' }, element('summary', {}, title), ...nodes);
}

/** @param {string} text */
const words = (text) => element('p', { class: 'advice' }, text);

/** @param {string} title @param {import('./decode.js').Part[]} parts @param {Record<string, string>} meanings */
function table(title, parts, meanings) {
  if (parts.length === 0) return undefined;
  const rows = parts.map(({ name, value }) =>
    element(
      'div',
      {},
      element('dt', {}, name),
      element('dd', {}, element('code', {}, value), element('span', {}, meanings[name] ?? '')),
    ),
  );
  return element('div', { class: 'parts' }, element('h4', {}, title), element('dl', {}, ...rows));
}

/** @param {string} text */
const shorten = (text) => (text.length > 60 ? `${text.slice(0, 40)}…` : text);

/** @param {HTMLElement | undefined} node @returns {node is HTMLElement} */
const isThere = (node) => node !== undefined;
