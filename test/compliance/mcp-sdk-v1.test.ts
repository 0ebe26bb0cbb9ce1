import { describe, jest } from '@jest/globals';
import { mcpFlowTests, WAY_IN } from '../support/mcp-flow-tests.js';
import { mcpTokenTests } from '../support/mcp-token-tests.js';
import { version1 } from '../support/mcp-v1.js';

jest.setTimeout(30_000); // a login takes a dozen requests

describe('version 1 of the SDK', () => {
  mcpFlowTests(version1, [...WAY_IN, 'POST /mcp 202']);
  mcpTokenTests(version1);
});
