// @ts-check
/** No middleware at all. */
export function create() {
  return undefined;
}
