/** One challenge as a strict reader of RFC 9110 section 11 sees it. Parameter names are lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly params: ReadonlyMap<string, string>;
}

const TCHAR = "[!#$%&'*+.^_`|~0-9A-Za-z-]";
const SCHEME = new RegExp(`${TCHAR}+`, 'y');
const NAME = new RegExp(`(${TCHAR}+)=`, 'y'); // no whitespace around "=": RFC 9110 section 5.6.3 allows none to be sent
const VALUE_TOKEN = new RegExp(`${TCHAR}+`, 'y');
const VALUE_QUOTED = /"((?:[\t \x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/y; // quoted-pair only where needed (section 5.6.4)
const COMMA = /[ \t]*,[ \t]*/y;

/**
 * Reads one `WWW-Authenticate` field line, or throws. Stricter than a receiver must be: no empty list element, no bad
 * whitespace, no repeated parameter, no bare scheme (RFC 6750 section 3), no `realm` as a token (RFC 9110 section 11.5).
 */
export function parseChallenges(line: string): Challenge[] {
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(line);
    if (match === null) return undefined;
    at = pattern.lastIndex;
    return match;
  };
  const fail = (why: string): never => {
    throw new Error(`${why} at ${String(at)} of: ${line}`);
  };

  const parsed: Challenge[] = [];
  for (;;) {
    const scheme = take(SCHEME)?.[0] ?? fail('no scheme');
    if (take(/ +/y) === undefined) fail('no parameter after the scheme');
    const params = new Map<string, string>();
    let more = true;
    while (more) {
      const name = (take(NAME)?.[1] ?? fail('no parameter name')).toLowerCase();
      const quoted = take(VALUE_QUOTED)?.[1]?.replace(/\\(.)/g, '$1');
      if (quoted === undefined && name === 'realm') fail('realm is not a quoted-string');
      const value = quoted ?? take(VALUE_TOKEN)?.[0] ?? fail('no parameter value');
      if (params.has(name)) fail(`repeated ${name}`);
      params.set(name, value);
      if (at === line.length) return [...parsed, { scheme, params }];
      if (take(COMMA) === undefined) fail('no comma');
      const start = at;
      more = take(NAME) !== undefined; // a name with "=" goes on with this challenge, a scheme begins the next
      at = start;
    }
    parsed.push({ scheme, params });
  }
}
