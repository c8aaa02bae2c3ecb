/**
 * Keeps the shell of the page, so that it opens without a connection and says so:
 * the scripts and styles of one build, and the page that names them. What users
 * stored and what the server answers never comes in here.
 *
 * The build fills in the two marks. An old build's shell stays for the pages that
 * are open on it, until they are closed or the page asks for the new one.
 */
const version = '__VERSION__';
const shell = ['__SHELL__'];
const cacheName = `shell-${version}`;
const known = new Set(shell);

self.addEventListener('install', (event) => {
  // Most requests need not wake this worker at all, where the browser can be told so.
  event.addRoutes?.([
    { condition: { not: { requestMethod: 'GET' } }, source: 'network' },
    { condition: { urlPattern: { pathname: '/api/*' } }, source: 'network' },
  ])?.catch?.(() => undefined);
  event.waitUntil(caches.open(cacheName).then((cache) => cache.addAll(['/', ...shell].map((url) => new Request(url, { cache: 'no-cache' })))));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((name) => name.startsWith('shell-') && name !== cacheName).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener('message', (event) => {
  if (event.data === 'take over') void self.skipWaiting();
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== self.location.origin) return;
  if (request.mode === 'navigate') {
    const place = url.pathname;
    if (place === '/' || place === '/files' || place.startsWith('/files/')) event.respondWith(page(request));
  } else if (known.has(url.pathname) && url.search === '') {
    event.respondWith(kept(request));
  }
});

/** The page as the server has it now; the kept one where there is no server. */
async function page(request) {
  try {
    return await fetch(request);
  } catch (e) {
    const cached = await caches.match('/', { cacheName });
    if (cached) return cached;
    throw e;
  }
}

/** A script or style of this build: its name has its hash, so that it never changes. */
async function kept(request) {
  return (await caches.match(request.url, { cacheName })) ?? fetch(request);
}
