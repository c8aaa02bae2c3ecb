/** The place in the tree that the address names: /files/a/b, each name percent-encoded. */
export class Router {
  names = $state.raw<string[]>(placeOf(location.pathname));

  constructor() {
    addEventListener('popstate', () => (this.names = placeOf(location.pathname)));
  }

  go(names: readonly string[], replace = false): void {
    const path = addressOf(names);
    if (path !== location.pathname) history[replace ? 'replaceState' : 'pushState'](null, '', path);
    this.names = [...names];
  }
}

export function addressOf(names: readonly string[]): string {
  return names.length === 0 ? '/files' : `/files/${names.map(encodeURIComponent).join('/')}`;
}

export function placeOf(pathname: string): string[] {
  if (!pathname.startsWith('/files/')) return [];
  try {
    return pathname.slice('/files/'.length).split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    return []; // a broken percent-encoding names no place
  }
}
