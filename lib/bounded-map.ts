interface Entry<Value> {
  readonly value: Value;
  /** Asked for since it was last looked at for removal. */
  isUsed: boolean;
}

/** So many are spared at most before one has to go, so that no insertion takes long. */
const MOST_SPARED = 10;

/**
 * A map of bounded size. What was used since it was last considered for removal gets a second chance; so nothing has to be
 * moved when it is found, which would cost more than finding it.
 */
export class BoundedMap<Value> {
  readonly #max: number;
  readonly #entries = new Map<string, Entry<Value>>(); // in the order of insertion

  /** @param max Most entries; 0: nothing is kept. */
  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    entry.isUsed = true;
    return entry.value;
  }

  set(key: string, value: Value): void {
    if (this.#max === 0) return;
    this.#entries.delete(key);
    if (this.#entries.size >= this.#max) this.#removeOne();
    this.#entries.set(key, { value, isUsed: false });
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  #removeOne(): void {
    let spared = 0;
    for (const [key, entry] of this.#entries) {
      this.#entries.delete(key);
      if (!entry.isUsed || spared === MOST_SPARED) return;
      spared++;
      entry.isUsed = false;
      this.#entries.set(key, entry); // at the end
    }
  }
}
