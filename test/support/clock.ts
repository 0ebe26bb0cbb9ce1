/** A clock that stands still until it is moved. Seconds. */
export interface Clock {
  (): number;
  now: number;
}

export function movableClock(now = Math.floor(Date.now() / 1000)): Clock {
  const clock = (() => clock.now) as Clock;
  clock.now = now;
  return clock;
}
