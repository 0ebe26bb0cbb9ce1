// @ts-check
// Skies, hills, trees and water as SVG, from a row of random numbers.

/**
 * @typedef {object} Scene
 * @property {string[]} sky colours, from the top to the horizon
 * @property {{ x: number, y: number, r: number, colour: string }} light the sun or the moon
 * @property {string} far colour of the farthest hills
 * @property {string} near colour of the nearest
 * @property {'hills' | 'dunes'} [ground]
 * @property {boolean} [stars]
 * @property {boolean} [aurora]
 * @property {boolean} [clouds]
 * @property {boolean} [birds]
 * @property {boolean} [trees]
 * @property {string} [water] its colour
 *
 * @typedef {() => number} Random a number from 0 to 1, the next of its row
 */

export const WIDTH = 480;
export const HEIGHT = 320;

/** @param {Scene} scene @param {Random} random */
export function drawSky({ light, stars, aurora, clouds, birds }, random) {
  const { x, y, r, colour } = light;
  const parts = [];
  if (stars) parts.push(...repeat(70, () => star(random)));
  if (aurora) parts.push(...repeat(3, (i) => curtain(i, random)));
  parts.push(
    `<circle cx="${x}" cy="${y}" r="${r * 5}" fill="url(#glow)"/><circle cx="${x}" cy="${y}" r="${r}" fill="${colour}"/>`,
  );
  if (clouds) parts.push(...repeat(5, () => cloud(random)));
  if (birds) parts.push(...repeat(5, () => bird(random)));
  return parts.join('');
}

/** Ranges of hills, the far ones paler. @param {Scene} scene @param {number} shore @param {Random} random */
export function drawLand({ far, near, ground = 'hills', trees }, shore, random) {
  const count = 5;
  return repeat(count, (i) => {
    const depth = i / (count - 1);
    const base = shore === HEIGHT ? HEIGHT - 132 + depth * 96 : shore - 88 + depth * 80;
    const line = ridge(base, ground === 'dunes' ? 64 : 58 - depth * 40, ground === 'dunes' ? 0.36 : 0.56, random);
    const colour = mix(far, near, depth);
    const path = `<path fill="${colour}" d="M0 ${HEIGHT}L${line.map(([x, y]) => `${x} ${y}`).join('L')}L${WIDTH} ${HEIGHT}z"/>`;
    const wood =
      trees && i >= count - 2 ? line.filter(() => random() < 0.62).map((foot) => fir(foot, depth, random)) : [];
    return path + (wood.length > 0 ? `<path fill="${colour}" d="${wood.join('')}"/>` : '');
  }).join('');
}

/** @param {string} colour @param {number} shore @param {Scene['light']} light @param {Random} random */
export function drawWater(colour, shore, light, random) {
  const ripples = repeat(34, () => {
    const y = shore + 4 + random() * random() * (HEIGHT - shore);
    const half = (8 + random() * 26) * (0.5 + (y - shore) / 80);
    return `<path d="M${round(light.x - half + (random() - 0.5) * 40)} ${round(y)}h${round(half * 2)}"/>`;
  }).join('');
  return `<g clip-path="url(#lake)"><path fill="${colour}" d="M0 ${shore}H${WIDTH}V${HEIGHT}H0z"/>
<use href="#land" transform="matrix(1 0 0 -1 0 ${2 * shore})" opacity=".42"/><path fill="url(#fade)" d="M0 ${shore}H${WIDTH}V${HEIGHT}H0z"/>
<g stroke="${light.colour}" stroke-width="1.6" stroke-linecap="round" opacity=".5">${ripples}</g></g>`;
}

/** Midpoint displacement: every half of a line is bent by half as much. @returns {[number, number][]}
 * @param {number} base @param {number} height @param {number} roughness @param {Random} random */
function ridge(base, height, roughness, random) {
  let heights = [random() - 0.5, random() - 0.5];
  for (let spread = 1; heights.length < 65; spread *= roughness) {
    heights = heights.flatMap((h, i) => {
      const next = heights[i + 1];
      return next === undefined ? [h] : [h, (h + next) / 2 + (random() - 0.5) * spread];
    });
  }
  return heights.map((h, i) => [round((i * WIDTH) / 64), round(base - h * height)]);
}

/** @param {[number, number]} foot @param {number} depth @param {Random} random */
function fir([x, y], depth, random) {
  const h = (10 + random() * 16) * (0.35 + depth * 0.75);
  const w = round(h * 0.24);
  const left = round(x + (random() - 0.5) * 8);
  return `M${left} ${round(y - h)}l${w} ${round(h * 0.55)}h${round(-w * 0.4)}l${round(w * 0.7)} ${round(h * 0.55)}h${round(-w * 2.6)}l${round(w * 0.7)} ${round(-h * 0.55)}h${round(-w * 0.4)}z`;
}

/** @param {Random} random */
function star(random) {
  return `<circle cx="${round(random() * WIDTH)}" cy="${round(random() ** 1.4 * 170)}" r="${round(0.4 + random() ** 3 * 1.3)}" fill="#fff" opacity="${round(0.35 + random() * 0.6)}"/>`;
}

/** @param {Random} random */
function bird(random) {
  const s = round(3 + random() * 4);
  return `<path d="M${round(150 + random() * 220)} ${round(50 + random() * 70)}q${s} ${-s} ${s * 2} 0q${s} ${-s} ${s * 2} 0" fill="none" stroke="#1d2233" stroke-width="1.3" stroke-linecap="round" opacity=".7"/>`;
}

/** @param {Random} random */
function cloud(random) {
  const [x, y, s] = [random() * WIDTH, 40 + random() * 80, 0.6 + random() * 0.9];
  const puffs = repeat(
    6,
    (i) =>
      `<ellipse cx="${round(x + (i - 2.5) * 17 * s)}" cy="${round(y - random() * 10 * s)}" rx="${round((16 + random() * 14) * s)}" ry="${round((6 + random() * 7) * s)}"/>`,
  );
  return `<g fill="#fff" opacity=".5" filter="url(#soft)">${puffs.join('')}</g>`;
}

/** @param {number} i @param {Random} random */
function curtain(i, random) {
  const y = 74 + i * 26;
  const [a, b, c] = [random() * 60, random() * 60, random() * 60];
  return `<path fill="url(#veil)" filter="url(#soft)" opacity=".85" d="M-20 ${round(y + a)}C120 ${round(y - b)} 220 ${round(y + c)} 500 ${round(y - 30)}V${round(y + 44)}C260 ${round(y + c + 90)} 140 ${round(y - b + 110)} -20 ${round(y + a + 80)}z"/>`;
}

/** @template T @param {number} count @param {(index: number) => T} make */
const repeat = (count, make) => Array.from({ length: count }, (_, index) => make(index));

/** @param {number} value */
const round = (value) => Math.round(value * 10) / 10;

/** @param {string} from @param {string} to @param {number} share */
function mix(from, to, share) {
  const channel = (/** @type {string} */ colour, /** @type {number} */ i) =>
    parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16);
  return `rgb(${repeat(3, (i) => Math.round(channel(from, i) * (1 - share) + channel(to, i) * share)).join(' ')})`;
}

/** Mulberry32, a small generator with a seed: the same row for the same seed. @param {number} state @returns {Random} */
export function randomNumbers(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
