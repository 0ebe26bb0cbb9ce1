import { describe, jest } from '@jest/globals';
import { mcpFlowTests } from '../support/mcp-flow-tests.js';
import { mcpTokenTests } from '../support/mcp-token-tests.js';
import { version1 } from '../support/mcp-v1.js';

jest.setTimeout(30_000); // a login takes a dozen requests

const METADATA = 'GET /.well-known/oauth-protected-resource/mcp 200';
const LOGIN = ['GET /.well-known/oauth-authorization-server 200', 'POST /reg 201', 'GET /auth 303', 'POST /token 200'];

describe('version 1 of the SDK', () => {
  mcpFlowTests(version1, ['POST /mcp 401', METADATA, ...LOGIN, 'POST /mcp 200', 'POST /mcp 202']);
  mcpTokenTests(version1);
});
