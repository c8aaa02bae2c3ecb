/** Files that a browser might run, each with a script that asks a server of the test's for /sing, and reaches for the API. */

export interface Song {
  type: string; // as which it is stored
  body: string;
  /** How the browser sings it where nothing keeps it from it; not at all if undefined. */
  sings?: 'opened' | 'embedded';
}

/** What a browser might run, by name. It sings to the server at elsewhere; sheet is the address of sheet.xsl. */
export function songs(elsewhere: string, sheet: string): Record<string, Song> {
  const sing = (name: string) => `new Image().src='${elsewhere}/sing?${name}';fetch('/api/status?sing=${name}').catch(()=>{});`;
  const html = (name: string) => `<!doctype html><body onload="${sing(name)}"><script>${sing(name)}</script><img src=x onerror="${sing(name)}">`;
  const pdf = (name: string) => `%PDF-1.7
1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.launchURL\\("${elsewhere}/sing?${name}"\\);this.submitForm\\("${elsewhere}/sing?${name}"\\))>>>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>endobj
trailer<</Root 1 0 R>>
%%EOF`;
  return {
    'page.html': { type: 'text/html', body: html('page.html'), sings: 'opened' },
    'page.xhtml': {
      type: 'application/xhtml+xml',
      body: `<html xmlns="http://www.w3.org/1999/xhtml"><body><script>${sing('page.xhtml')}</script></body></html>`,
      sings: 'opened',
    },
    'image.svg': { type: 'image/svg+xml', body: `<svg xmlns="http://www.w3.org/2000/svg" onload="${sing('image.svg')}"><script>${sing('image.svg')}</script></svg>`, sings: 'opened' },
    'feed.xml': {
      type: 'text/xml',
      body: `<?xml-stylesheet type="text/xsl" href="${sheet}"?><feed><script xmlns="http://www.w3.org/1999/xhtml">${sing('feed.xml')}</script></feed>`,
    },
    'entry.xml': { type: 'application/xml', body: `<feed><script xmlns="http://www.w3.org/1999/xhtml">${sing('entry.xml')}</script></feed>`, sings: 'opened' },
    'sheet.xsl': {
      type: 'application/xslt+xml',
      body: `<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"><html><body><script>${sing('sheet.xsl')}</script></body></html></xsl:template></xsl:stylesheet>`,
    },
    'paper.pdf': { type: 'application/pdf', body: pdf('paper.pdf') },
    'code.js': { type: 'text/javascript', body: sing('code.js'), sings: 'embedded' },
    'code.mjs': { type: 'application/ecmascript', body: sing('code.mjs'), sings: 'embedded' },
    'polyglot.gif': { type: 'image/gif', body: `GIF89a=0;${sing('polyglot.gif')}` },
    'notes.txt': { type: 'text/plain', body: sing('notes.txt') },
    'lie.txt': { type: 'text/html; charset=utf-7', body: html('lie.txt') },
    'lie.png': { type: 'image/svg+xml', body: `<svg xmlns="http://www.w3.org/2000/svg" onload="${sing('lie.png')}"/>` },
    'nothing': { type: '', body: html('nothing') },
    'letter.mhtml': { type: 'multipart/related; boundary=x', body: `MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n${html('letter.mhtml')}\r\n--x--` },
  };
}

/** A page of another origin that embeds an address in all ways that there are. */
export const embedding = (address: string) => `<!doctype html>
  <iframe src="${address}"></iframe><object data="${address}"></object><embed src="${address}"><img src="${address}">
  <link rel=stylesheet href="${address}"><link rel=import href="${address}"><svg><use href="${address}#x"/></svg>
  <script src="${address}"></script><script type=module src="${address}"></script>
  <script>try { new Worker("${address}") } catch {}</script>`;
