// @ts-check
// The pictures, and the dialog that edits one.
import { element } from './element.js';

/** @typedef {{ id: string, title: string, look: string, mirrored: boolean }} Picture */

const gallery = /** @type {HTMLElement} */ (document.getElementById('gallery'));
const dialog = /** @type {HTMLDialogElement} */ (document.getElementById('darkroom'));
const form = /** @type {HTMLFormElement} */ (dialog.querySelector('form'));
const preview = /** @type {HTMLImageElement} */ (document.getElementById('preview'));
const result = /** @type {HTMLElement} */ (document.getElementById('darkroom-result'));
/** @type {Picture | undefined} */
let open;

/** Resolves when the pictures have arrived. @param {Picture[]} pictures @param {(picture: Picture) => void} edit */
export async function showGallery(pictures, edit) {
  const images = pictures.map((picture) => {
    const image = /** @type {HTMLImageElement} */ (element('img', { alt: '', width: '480', height: '320' }));
    image.src = address(picture);
    const button = element('button', { type: 'button', class: 'picture' }, image, element('span', {}, picture.title));
    button.addEventListener('click', () => edit(picture));
    return { image, item: element('li', {}, button) };
  });
  gallery.replaceChildren(...images.map(({ item }) => item));
  await Promise.allSettled(images.map(({ image }) => image.decode()));
}

export function clearGallery() {
  gallery.replaceChildren();
}

/** The look is part of the address, so that a new look is a new picture for the cache. @param {Picture} picture */
const address = ({ id, look, mirrored }) => `/pictures/${id}?v=${look}${mirrored ? '-mirrored' : ''}`;

/** @param {Picture} picture */
export function openDarkroom(picture) {
  open = picture;
  /** @type {HTMLElement} */ (document.getElementById('darkroom-title')).textContent = picture.title;
  result.textContent = '';
  preview.src = `/pictures/${picture.id}?original`;
  preview.alt = picture.title;
  const { look, mirrored } = fields();
  look.value = picture.look;
  mirrored.checked = picture.mirrored;
  showLook();
  dialog.showModal();
}

/** @param {(picture: Picture) => Promise<string>} save says how it went */
export function onSave(save) {
  form.addEventListener('change', showLook);
  /** @type {HTMLElement} */ (document.getElementById('save')).addEventListener('click', async () => {
    if (open === undefined) return;
    const { look, mirrored } = fields();
    result.textContent = await save({ ...open, look: look.value, mirrored: mirrored.checked });
  });
}

// The browser previews with the CSS filters that are equal to what the storage does when it develops the picture.
function showLook() {
  const { look, mirrored } = fields();
  preview.className = `look-${look.value}${mirrored.checked ? ' mirrored' : ''}`;
}

function fields() {
  const look = /** @type {RadioNodeList} */ (form.elements.namedItem('look'));
  const mirrored = /** @type {HTMLInputElement} */ (form.elements.namedItem('mirrored'));
  return { look, mirrored };
}
