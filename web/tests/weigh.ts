/** How much script a page loads. */
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';

export type Script = { length: number; /** Compressed. */ size: number; coding: string | undefined };

/** Gives, whenever it is asked, the scripts that have come to a page from now on. */
export function scriptsOf(page: Page): () => Promise<Script[]> {
  const scripts: Promise<Script>[] = [];
  page.on('response', (a) => {
    if (!/\.m?js$/.test(new URL(a.url()).pathname)) return;
    scripts.push(a.body().then((body) => ({ length: body.length, size: gzipSync(body, { level: 9 }).length, coding: a.headers()['content-encoding'] })));
  });
  return () => Promise.all(scripts);
}
