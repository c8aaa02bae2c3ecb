/** Reads CSV (RFC 4180) and its relatives with other separators, at most so many rows. */
export function readTable(text: string, most: number): { rows: string[][]; more: boolean } {
  const separator = separatorOf(text);
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = '';
  let quoted = false;
  const endRow = () => {
    row.push(cell);
    cell = '';
    if (row.length > 1 || row[0] !== '') rows.push(row);
    row = [];
  };
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') cell += text[++i];
      else quoted = false;
    } else if (c === '"' && cell === '') quoted = true;
    else if (c === separator) {
      row.push(cell);
      cell = '';
    } else if (c === '\n') {
      endRow();
      if (rows.length === most) return { rows, more: i < text.length - 1 };
    } else if (c !== '\r') cell += c;
  }
  if (cell !== '' || row.length > 0) endRow();
  return { rows, more: false };
}

/** The one of the usual separators that the first line has most of. */
function separatorOf(text: string): string {
  const line = text.slice(0, text.indexOf('\n') + 1 || undefined).replace(/"[^"]*"/g, '');
  const count = (s: string) => line.split(s).length;
  return [',', ';', '\t', '|'].reduce((best, s) => (count(s) > count(best) ? s : best));
}
