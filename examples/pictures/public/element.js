// @ts-check

/**
 * An element with attributes and children. Text becomes text, never markup.
 *
 * @param {string} name @param {Record<string, string>} [attributes] @param {(Node | string)[]} children
 */
export function element(name, attributes = {}, ...children) {
  const created = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) created.setAttribute(attribute, value);
  created.append(...children);
  return created;
}
