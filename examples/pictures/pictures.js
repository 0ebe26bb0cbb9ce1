// @ts-check
// Pictures without a camera: small landscapes, drawn as SVG. The same person always has the same pictures.
import { HEIGHT, WIDTH, drawLand, drawSky, drawWater, randomNumbers } from './landscape.js';

/** @type {readonly (import('./landscape.js').Scene & { title: string })[]} */
// prettier-ignore
const SCENES = [
  { title: 'Lake at sunrise', sky: ['#3f5a86', '#e2a08f', '#ffe3b8'], light: { x: 310, y: 104, r: 21, colour: '#fff3d2' }, far: '#c08d92', near: '#2c3350', water: '#7d84a0', birds: true, trees: true },
  { title: 'Northern lights', sky: ['#060b20', '#0f2a44', '#2b5b66'], light: { x: 92, y: 62, r: 10, colour: '#f2f6ff' }, far: '#21475a', near: '#050d18', stars: true, aurora: true, trees: true },
  { title: 'Desert evening', sky: ['#533a71', '#d9647a', '#ffc37d'], light: { x: 165, y: 148, r: 34, colour: '#ffe6a6' }, far: '#cf7a62', near: '#52213a', ground: 'dunes', birds: true },
  { title: 'Fog in the valley', sky: ['#8fb3b8', '#c9dcd6', '#f3efe0'], light: { x: 372, y: 84, r: 24, colour: '#fffbea' }, far: '#bccfc7', near: '#1f4a45', trees: true },
  { title: 'Summer noon', sky: ['#2f83c5', '#7fc0e6', '#dff2f6'], light: { x: 92, y: 58, r: 20, colour: '#fffbe0' }, far: '#88b3c4', near: '#2f6b3c', clouds: true, birds: true, trees: true },
  { title: 'Harbour of the moon', sky: ['#10163a', '#333a73', '#a27a9f'], light: { x: 236, y: 72, r: 24, colour: '#fdf4dc' }, far: '#57507f', near: '#12122c', stars: true, clouds: true, water: '#2b2f5e' },
];

/** What the storage can do to a picture when it develops it. Filter Effects names the same functions in CSS. */
export const LOOKS = /** @type {Readonly<Record<string, string>>} */ ({
  original: '',
  sepia: '<feColorMatrix values=".393 .769 .189 0 0 .349 .686 .168 0 0 .272 .534 .131 0 0 0 0 0 1 0"/>',
  silver: '<feColorMatrix type="saturate" values="0"/>',
  vivid: '<feColorMatrix type="saturate" values="1.8"/>',
  dusk: '<feColorMatrix type="hueRotate" values="300"/>',
});

/** @param {string} owner */
export function newAlbum(owner) {
  return SCENES.map(({ title }, number) => {
    const seed = hash(`${owner}/${number}`);
    return { id: seed.toString(36), title, scene: number, seed, look: 'original', mirrored: false };
  });
}

/** @param {{ scene: number, seed: number, look: string, mirrored: boolean }} picture */
export function drawPicture({ scene: number, seed, look, mirrored }) {
  const scene = /** @type {import('./landscape.js').Scene} */ (SCENES[number]);
  const random = randomNumbers(seed);
  const shore = scene.water === undefined ? HEIGHT : 226;
  const land = drawLand(scene, shore, random);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}">
<defs>
<linearGradient id="sky" x2="0" y2="1">${scene.sky.map((colour, i) => `<stop offset="${i * 0.36}" stop-color="${colour}"/>`).join('')}</linearGradient>
<radialGradient id="glow"><stop offset="0" stop-color="${scene.light.colour}" stop-opacity=".75"/><stop offset="1" stop-color="${scene.light.colour}" stop-opacity="0"/></radialGradient>
<linearGradient id="fade" x2="0" y2="1"><stop offset="0" stop-color="#fff" stop-opacity=".32"/><stop offset="1" stop-color="#000" stop-opacity=".3"/></linearGradient>
<linearGradient id="veil" x2="0" y2="1"><stop offset="0" stop-color="#7dffc0" stop-opacity="0"/><stop offset=".7" stop-color="#7dffc0" stop-opacity=".5"/><stop offset="1" stop-color="#8a7dff" stop-opacity="0"/></linearGradient>
<filter id="soft" x="-.3" y="-.6" width="1.6" height="2.2"><feGaussianBlur stdDeviation="7"/></filter>
<clipPath id="lake"><path d="M0 ${shore}H${WIDTH}V${HEIGHT}H0z"/></clipPath>
${look === 'original' ? '' : `<filter id="look" x="0" y="0" width="1" height="1" color-interpolation-filters="sRGB">${LOOKS[look]}</filter>`}
</defs>
<g${look === 'original' ? '' : ' filter="url(#look)"'}${mirrored ? ` transform="matrix(-1 0 0 1 ${WIDTH} 0)"` : ''}>
<g id="land"><path fill="url(#sky)" d="M0 0H${WIDTH}V${HEIGHT}H0z"/>${drawSky(scene, random)}${land}</g>
${scene.water === undefined ? '' : drawWater(scene.water, shore, scene.light, random)}
</g>
</svg>`;
}

/** FNV-1a: any text to 32 bits. @param {string} text */
function hash(text) {
  return Array.from(text).reduce((h, c) => Math.imul(h ^ (c.codePointAt(0) ?? 0), 0x01000193) >>> 0, 0x811c9dc5);
}
