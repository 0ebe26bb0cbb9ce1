import { describe, expect, test } from '@jest/globals';
import { BoundedMap } from '../../lib/bounded-map.js';

function filled(max: number, count = max): BoundedMap<number> {
  const map = new BoundedMap<number>(max);
  for (let i = 0; i < count; i++) map.set(String(i), i);
  return map;
}

const keysIn = (map: BoundedMap<number>, count: number) =>
  Array.from({ length: count }, (_, i) => String(i)).filter((key) => map.get(key) !== undefined);

describe('BoundedMap', () => {
  test('it finds what was put in, and nothing else', () => {
    const map = filled(3);
    expect([map.get('0'), map.get('2'), map.get('3'), map.size]).toEqual([0, 2, undefined, 3]);
    map.set('2', 22);
    expect([map.get('2'), map.size]).toEqual([22, 3]);
    map.delete('2');
    expect([map.get('2'), map.size]).toEqual([undefined, 2]);
    map.clear();
    expect([map.get('0'), map.size]).toEqual([undefined, 0]);
  });

  test('the first that came goes first', () => {
    expect(keysIn(filled(3, 5), 5)).toEqual(['2', '3', '4']);
  });

  test('what was used is spared, once for each use', () => {
    const map = filled(3);
    map.get('0');
    map.set('3', 3);
    expect(map.size).toBe(3);
    map.set('4', 4); // 2 goes, and 0 has had its chance
    map.set('5', 5);
    expect(keysIn(map, 6)).toEqual(['3', '4', '5']);
  });

  test('what is used all the time outlives a flood of what is used once', () => {
    const map = filled(100);
    for (let i = 100; i < 10_000; i++) {
      expect(map.get('7')).toBe(7);
      map.set(String(i), i);
      expect(map.size).toBe(100);
    }
    expect(map.get('8')).toBeUndefined();
  });

  test('where all were used, one goes all the same', () => {
    for (const max of [1, 5, 50]) {
      const map = filled(max);
      keysIn(map, max);
      map.set('new', -1);
      expect([map.size, map.get('new')]).toEqual([max, -1]);
    }
  });

  test('of size 0 it keeps nothing', () => {
    expect(keysIn(filled(0, 5), 5)).toEqual([]);
  });
});
