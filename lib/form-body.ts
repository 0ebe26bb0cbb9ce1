import express from 'express';
import type { Request, RequestHandler, Response } from 'express';
import { InvalidRequestError } from './errors.js';

// RFC 6750 section 2.2: only where the content of a request has defined semantics (RFC 9110 section 9.3).
const METHODS_WITH_CONTENT = new Set(['POST', 'PUT', 'PATCH']);

const parseForm: RequestHandler = express.urlencoded({ extended: false });

/** Whether the body of this request may carry a token: single-part form content in a method that has content. */
export function carriesForm(req: Request): boolean {
  const mediaType = req.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  return mediaType === 'application/x-www-form-urlencoded' && METHODS_WITH_CONTENT.has(req.method);
}

/**
 * Reads a form body with Express's own parser, unless somebody has read it already; the handler finds it in `req.body`.
 *
 * @throws InvalidRequestError when it cannot be read: broken off, over Express's limit of 100 kB, an unknown charset.
 */
export async function readForm(req: Request, res: Response): Promise<void> {
  // The parsers of Express 4 look at this, should the application's be another Express than ours.
  const marked: Request & { _body?: boolean } = req;
  await new Promise<void>((resolve, reject) => {
    parseForm(req, res, (error?: unknown) => {
      if (error === undefined) resolve();
      else reject(new InvalidRequestError('The form body could not be read'));
    });
  });
  marked._body = true;
}

/**
 * The values of `name` in the form. More than one, or one that is no string, is for the caller to refuse: a parser makes
 * a list of a repeated name, and a nested one makes a list or an object even of a single `name[]=`.
 *
 * @throws InvalidRequestError when the form carries `name` and is not ASCII throughout. RFC 6750 section 2.2.
 */
export function formValues(body: unknown, name: string): readonly unknown[] {
  const fields = typeof body === 'string' || Buffer.isBuffer(body) ? new URLSearchParams(body.toString()) : body;
  if (fields instanceof URLSearchParams) return ofAsciiForm(fields.getAll(name), [...fields].flat());
  if (typeof fields !== 'object' || fields === null || !Object.hasOwn(fields, name)) return [];
  const value = (fields as Record<string, unknown>)[name];
  return ofAsciiForm([value], fields);
}

function ofAsciiForm(values: readonly unknown[], fields: object): readonly unknown[] {
  // As one text, so that one look is enough for names and values at any depth.
  if (values.length > 0 && /[\u0080-\uffff]/.test(JSON.stringify(fields))) {
    throw new InvalidRequestError('A form body that carries an access token must be ASCII');
  }
  return values;
}
