/** What a promise was rejected with; a text that says so if it was not. */
export async function rejection(promise: unknown): Promise<unknown> {
  return Promise.resolve(promise).then(
    (value) => `resolved with ${String(value)}`,
    (error: unknown) => error,
  );
}
