/** An address that a document of somebody's may lead to; '' for any other. */
export function safeLink(href: string): string {
  try {
    const { protocol, href: whole } = new URL(href);
    return protocol === 'https:' || protocol === 'http:' || protocol === 'mailto:' ? whole : '';
  } catch {
    return ''; // relative to what?
  }
}

const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", nbsp: '\u00a0', copy: '©', mdash: '—', ndash: '–', hellip: '…' };

/** Text with the usual character references as what they stand for. */
export function unescaped(text: string): string {
  return text.replace(/&(#?\w+);/g, (whole, name: string) => entities[name] ?? whole);
}
