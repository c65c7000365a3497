/** A page of a list: so many items, and no more text than one call may carry. Never here: reading rows, or cursors. */

// A call between Worker and object carries at most 32 MiB, and what is read is rendered on the way.
const pageCharacters = 4_194_304

/** The first of `rows` that make a page, at least one; and whether there is more. Read one row more than `limit` to know. */
export function pageWithin<Row>(
  rows: readonly Row[],
  limit: number,
  charactersOf: (row: Row) => number,
): { readonly rows: readonly Row[]; readonly more: boolean } {
  let characters = 0
  const over = rows.findIndex((row, i) => {
    characters += charactersOf(row)
    return i === limit || (i > 0 && characters > pageCharacters)
  })
  return over === -1 ? { rows, more: false } : { rows: rows.slice(0, over), more: true }
}
