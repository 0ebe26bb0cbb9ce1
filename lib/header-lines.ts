/**
 * The values of a header as they came, line by line. `headers` joins repeated lines, or drops all but the first (RFC 9110
 * section 5.3); `headersDistinct` throws on older Nodes when a header is called `__proto__`.
 *
 * @param name In lower case.
 */
export function linesOf(rawHeaders: readonly string[], name: string): readonly string[] {
  const lines: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    // The length first: most headers are another one, and lower case costs.
    if (rawHeaders[i]?.length === name.length && rawHeaders[i]?.toLowerCase() === name)
      lines.push(rawHeaders[i + 1] ?? '');
  }
  return lines;
}
