// Rows of a table as plain values: what a cell says, how rows are sorted and found. No page in here.

// A cell is a text, a number, null, or [number, text] where the words for a number are Python's.
const textOf = (cell) => (cell === null ? "" : Array.isArray(cell) ? cell[1] : typeof cell === "number" ? plainNumber(cell) : cell);
const valueOfCell = (cell) => (Array.isArray(cell) ? cell[0] : cell);
const plainNumber = (value) => (Number.isInteger(value) ? value.toLocaleString("en-US") : String(Number(value.toPrecision(4))));

function readTable(text) {
  const { ids, columns, cells } = JSON.parse(text);
  const index = new Map(ids.map((id, row) => [id, row]));
  return { ids, columns, cells, index, words: undefined };
}

// What a row says as one lower-case text, made when somebody first searches.
function wordsOfRows(table) {
  table.words ??= table.ids.map((_, row) => table.cells.map((column) => textOf(column[row])).join(" ").toLowerCase());
  return table.words;
}

// Every word must occur somewhere in the row.
function foundRows(table, query) {
  const all = table.ids.map((_, row) => row);
  const wanted = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!wanted.length) return all;
  const words = wordsOfRows(table);
  return all.filter((row) => wanted.every((word) => words[row].includes(word)));
}

// Missing values come last whichever way it is sorted; equal ones keep their order.
function sortedRows(table, rows, { column, descending }) {
  const number = table.columns.findIndex(({ name }) => name === column);
  if (number < 0) return rows;
  const values = table.cells[number].map(valueOfCell);
  const collator = new Intl.Collator("en", { numeric: true });
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b)));
  const isMissing = (row) => values[row] === null || values[row] === "";
  return [...rows].sort((a, b) => {
    if (isMissing(a) || isMissing(b)) return isMissing(a) - isMissing(b);
    return descending ? compare(values[b], values[a]) : compare(values[a], values[b]);
  });
}

// Fixed widths in characters: rows come and go while one scrolls, and columns must not jump.
function widthsOf(table) {
  return table.columns.map(({ label, isNumber }, number) => {
    const longest = table.cells[number].reduce((most, cell) => Math.max(most, textOf(cell).length), 0);
    return Math.min(Math.max(longest, Math.min(label.length + 2, 14), 5), isNumber ? 22 : 38) + 2;
  });
}
