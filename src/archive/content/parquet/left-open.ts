/**
 * The same, not closed by a loop that is left early: a stream destroys itself then, with an error of its own, which
 * reaches the end of the pipeline before the reason does.
 */
export async function* leftOpen<T>(source: AsyncIterable<T>): AsyncGenerator<T, void> {
  const iterator = source[Symbol.asyncIterator]()
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value
}
