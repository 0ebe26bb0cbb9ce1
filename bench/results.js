// @ts-check
// What was measured, round by round, and the questions that are asked of it.

/** @typedef {import('./types.js').Series} Series @typedef {Map<string, Series>} Metrics */

/** Numbers by scenario, subject and metric; one for each round. */
export class Results {
  /** @type {Map<string, Map<string, Metrics>>} */
  #scenarios = new Map();
  /** What a reader must know: a subject that failed, say. @type {string[]} */
  notes = [];

  /** @param {string} scenario @param {string} subject @param {object} costs a number for each metric */
  add(scenario, subject, costs) {
    const subjects = getOrMake(this.#scenarios, scenario, () => new Map());
    const metrics = getOrMake(subjects, subject, () => /** @type {Metrics} */ (new Map()));
    for (const [metric, value] of Object.entries(costs))
      getOrMake(metrics, metric, () => /** @type {Series} */ ([])).push(value);
  }

  /** Replaces the numbers of a scenario by what they are above those of one subject, round by round. @param {string} scenario @param {string} reference */
  subtract(scenario, reference) {
    const subjects = this.#scenarios.get(scenario);
    const base = subjects?.get(reference);
    subjects?.delete(reference);
    for (const metrics of subjects?.values() ?? []) {
      for (const [metric, series] of metrics) {
        const less = base?.get(metric);
        metrics.set(
          metric,
          series.map((value, round) => value - (less?.[round] ?? NaN)),
        );
      }
    }
  }

  /** The subjects that a scenario has numbers of. @param {string} scenario */
  subjects(scenario) {
    return [...(this.#scenarios.get(scenario)?.keys() ?? [])];
  }

  /** Takes a subject out of a scenario. @param {string} scenario @param {string} subject */
  remove(scenario, subject) {
    this.#scenarios.get(scenario)?.delete(subject);
  }

  /** @param {string} scenario @param {string} subject @param {string} metric @returns {Series | undefined} */
  series(scenario, subject, metric) {
    return this.#scenarios.get(scenario)?.get(subject)?.get(metric);
  }

  /** The median of all rounds. @param {string} scenario @param {string} subject @param {string} metric */
  median(scenario, subject, metric) {
    return median(this.series(scenario, subject, metric));
  }

  /**
   * The median of the quotients within each round.
   *
   * @param {string} metric
   * @param {readonly [scenario: string, subject: string]} one
   * @param {readonly [scenario: string, subject: string]} other
   */
  ratio(metric, [scenario, subject], [otherScenario, otherSubject]) {
    const divisors = this.series(otherScenario, otherSubject, metric);
    const quotients = this.series(scenario, subject, metric)?.map((value, round) => value / (divisors?.[round] ?? NaN));
    return median(quotients?.filter(Number.isFinite));
  }

  /** The same against the mean of two subjects of the scenario. @param {string} metric @param {string} scenario @param {string} subject @param {[string, string]} pair */
  ratioToPair(metric, scenario, subject, [first, second]) {
    const [a, b] = [this.series(scenario, first, metric), this.series(scenario, second, metric)];
    const quotients = this.series(scenario, subject, metric)?.map(
      (value, round) => (2 * value) / ((a?.[round] ?? NaN) + (b?.[round] ?? NaN)),
    );
    return median(quotients?.filter(Number.isFinite));
  }
}

/** @param {Series | undefined} series */
export function median(series) {
  if (series === undefined || series.length === 0) return undefined;
  const sorted = [...series].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[Math.floor(sorted.length / 2)]];
  return (Number(low) + Number(high)) / 2;
}

/** @template K, V @param {Map<K, V>} map @param {K} key @param {() => V} make @returns {V} */
function getOrMake(map, key, make) {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}
