import { describe, expect, test } from '@jest/globals';
import { isInternal } from '../../lib/internal-address.js';

describe('isInternal', () => {
  test.each([
    ['0.0.0.0', '0.255.255.255', '1.0.0.0'],
    ['10.0.0.0', '10.255.255.255', '11.0.0.0'],
    ['100.64.0.0', '100.127.255.255', '100.128.0.0'],
    ['127.0.0.0', '127.255.255.255', '128.0.0.0'],
    ['169.254.0.0', '169.254.255.255', '169.255.0.0'],
    ['172.16.0.0', '172.31.255.255', '172.32.0.0'],
    ['192.168.0.0', '192.168.255.255', '192.169.0.0'],
    ['[::]', '[::1]', '[::1:0:0:2]'],
    ['[fc00::]', '[fdff:ffff::1]', '[fe00::]'],
    ['[fe80::]', '[feff:ffff::1]', '[ff00::]'],
    ['[2002::]', '[2002:ffff::1]', '[2003::]'],
    ['192.0.0.0', '192.0.0.255', '192.0.1.0'],
    ['198.18.0.0', '198.19.255.255', '198.20.0.0'],
    ['240.0.0.0', '255.255.255.255', '223.255.255.255'],
    ['[::ffff:10.0.0.0]', '[::ffff:a00:1]', '[::ffff:11.0.0.0]'],
  ])('8725b-3.10-3 %s to %s is inside, and %s is not', async (first, last, next) => {
    const inside = await Promise.all([first, last, next].map((host) => isInternal(new URL(`https://${host}/`))));
    expect(inside).toEqual([true, true, false]);
  });

  test.each([
    '9.255.255.255',
    '100.63.255.255',
    '126.255.255.255',
    '169.253.255.255',
    '172.15.255.255',
    '192.167.255.255',
    '[fbff::1]',
    '[2606:4700::1111]',
  ])('8725b-3.10-3 %s, just before, is not inside', async (host) => {
    await expect(isInternal(new URL(`https://${host}/`))).resolves.toBe(false);
  });

  test('8725b-3.10-3 a name that resolves to loopback is inside, and one that does not resolve is not', async () => {
    await expect(isInternal(new URL('https://localhost/'))).resolves.toBe(true);
    await expect(isInternal(new URL('https://no-such-host.invalid/'))).resolves.toBe(false);
  });
});
