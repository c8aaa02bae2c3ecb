/**
 * The place that the address names: /files/a/b, each name percent-encoded; with
 * ?view= a file of it that is shown, with ?q= what is searched for.
 */
export class Router {
  names = $state.raw<string[]>(placeOf(location.pathname));
  view = $state.raw(viewOf(location.search));
  query = $state.raw(queryOf(location.search));

  constructor() {
    addEventListener('popstate', () => this.read());
  }

  go(names: readonly string[], replace = false): void {
    this.put(addressOf(names), null, replace);
  }

  /** Shows a file of a folder; the way back leads to where this was. */
  show(names: readonly string[], file: string): void {
    this.put(viewAddressOf(names, file), { opened: true });
  }

  /** Shows another file of the same folder in the place of the one that is shown. */
  showInstead(file: string): void {
    this.put(viewAddressOf(this.names, file), history.state, true);
  }

  /** Stops to show a file: back to where it was opened, or to its folder. */
  closeView(): void {
    if (!this.view) return;
    if ((history.state as { opened?: boolean } | null)?.opened) history.back();
    else this.go(this.names, true);
  }

  /** Keeps what is searched for in the address; one search is one step of the history. */
  search(query: string): void {
    const path = addressOf(this.names) + (query ? `?q=${encodeURIComponent(query)}` : '');
    this.put(path, null, this.query !== '');
  }

  private put(address: string, state: unknown, replace = false): void {
    if (address !== location.pathname + location.search) history[replace ? 'replaceState' : 'pushState'](state, '', address);
    this.read();
  }

  private read(): void {
    const names = placeOf(location.pathname);
    if (names.join('/') !== this.names.join('/')) this.names = names;
    this.view = viewOf(location.search);
    this.query = queryOf(location.search);
  }
}

export function addressOf(names: readonly string[]): string {
  return names.length === 0 ? '/files' : `/files/${names.map(encodeURIComponent).join('/')}`;
}

export function viewAddressOf(names: readonly string[], file: string): string {
  return `${addressOf(names)}?view=${encodeURIComponent(file)}`;
}

export function placeOf(pathname: string): string[] {
  if (!pathname.startsWith('/files/')) return [];
  try {
    return pathname.slice('/files/'.length).split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    return []; // a broken percent-encoding names no place
  }
}

const viewOf = (search: string) => new URLSearchParams(search).get('view') ?? '';
const queryOf = (search: string) => new URLSearchParams(search).get('q') ?? '';
