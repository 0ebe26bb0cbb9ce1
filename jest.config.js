/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  maxWorkers: '100%', // two on a small machine, where the default is one
  testTimeout: 20_000, // five seconds are too few for a thousand requests on a machine that is busy
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: { '^.+\\.ts$': ['ts-jest', { useESM: true, tsconfig: 'tsconfig.json' }] },
  setupFiles: ['<rootDir>/test/setup.ts'],
  collectCoverageFrom: ['lib/**/*.ts'],
  coverageThreshold: { global: { statements: 95, branches: 95, functions: 95, lines: 95 } },
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/test/package/consumers/'],
  reporters: ['default', ...(process.env.TEST_TOTALS ? ['<rootDir>/test/support/totals.js'] : [])],
};
