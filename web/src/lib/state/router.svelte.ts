import { filtersOf, narrows, noFilters, paramsOf, type Filters } from '../filters';

/** What the page is a view of: the tree, or a list of entries from anywhere. */
export type At = 'files' | 'recent' | 'starred' | 'shared-with-me' | 'shared-by-me' | 'trash' | 'admin';

const places = ['users', 'invitations', 'groups', 'quotas', 'services', 'storage', 'log', 'server'] as const;
/** A part of the administration. */
export type Place = (typeof places)[number];

/**
 * The place that the address names: /files/a/b, each name percent-encoded; with
 * ?view= a file of it that is shown, with ?q= and filters what is searched for.
 * Below folders that are hidden there is no such way: /by-id/42 is a folder by its id.
 * Beside it there are /recent, /starred, /shared-with-me, /shared-by-me and /trash, and /admin/users and its kin.
 */
export class Router {
  at = $state.raw<At>(atOf(location.pathname));
  names = $state.raw<string[]>(placeOf(location.pathname));
  /** A folder that is named by its id, or 0; there are no names then. */
  id = $state.raw(idOf(location.pathname));
  place = $state.raw<Place>(adminPlaceOf(location.pathname));
  view = $state.raw(viewOf(location.search));
  query = $state.raw(queryOf(location.search));
  filters = $state.raw<Filters>(filtersOf(new URLSearchParams(location.search)));
  readonly searching = $derived(this.query !== '' || narrows(this.filters));

  constructor() {
    addEventListener('popstate', () => this.read());
  }

  go(names: readonly string[], replace = false): void {
    this.put(addressOf(names), null, replace);
  }

  /** Goes to one of the lists beside the tree. */
  goTo(at: Exclude<At, 'files'>): void {
    this.put(at === 'admin' ? '/admin/users' : `/${at}`, null);
  }

  /** Goes to a part of the administration. */
  administer(place: Place): void {
    this.put(`/admin/${place}`, null);
  }

  /** Goes to a folder by its id. */
  goToID(id: number): void {
    this.put(`/by-id/${id}`, null);
  }

  /** Shows a file of a folder; the way back leads to where this was. */
  show(names: readonly string[], file: string, id = 0): void {
    this.put(viewAddressOf(names, file, id), { opened: true });
  }

  /** Shows another file of the same folder in the place of the one that is shown. */
  showInstead(file: string): void {
    this.put(viewAddressOf(this.names, file, this.id), history.state, true);
  }

  /** Stops to show a file: back to where it was opened, or to its folder. */
  closeView(): void {
    if (!this.view) return;
    if ((history.state as { opened?: boolean } | null)?.opened) history.back();
    else this.put(location.pathname, null, true);
  }

  /** Keeps what is searched for in the address; one search is one step of the history. */
  search(query: string, filters: Filters = this.filters): void {
    const params = paramsOf(query, filters).toString().replaceAll('+', '%20');
    this.put(location.pathname + (params && `?${params}`), null, this.searching);
  }

  /** Back to where the search was begun. */
  endSearch(): void {
    this.search('', noFilters);
  }

  private put(address: string, state: unknown, replace = false): void {
    if (address !== location.pathname + location.search) history[replace ? 'replaceState' : 'pushState'](state, '', address);
    this.read();
  }

  private read(): void {
    const names = placeOf(location.pathname);
    if (names.join('/') !== this.names.join('/')) this.names = names;
    this.id = idOf(location.pathname);
    this.at = atOf(location.pathname);
    this.place = adminPlaceOf(location.pathname);
    this.view = viewOf(location.search);
    this.query = queryOf(location.search);
    const filters = filtersOf(new URLSearchParams(location.search));
    if (paramsOf('', filters).toString() !== paramsOf('', this.filters).toString()) this.filters = filters;
  }
}

export function addressOf(names: readonly string[]): string {
  return names.length === 0 ? '/files' : `/files/${names.map(encodeURIComponent).join('/')}`;
}

/** Of a file in the folder of these names, or in that of an id. */
export function viewAddressOf(names: readonly string[], file: string, id = 0): string {
  return `${id ? `/by-id/${id}` : addressOf(names)}?view=${encodeURIComponent(file)}`;
}

export function placeOf(pathname: string): string[] {
  if (!pathname.startsWith('/files/')) return [];
  try {
    return pathname.slice('/files/'.length).split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    return []; // a broken percent-encoding names no place
  }
}

function adminPlaceOf(pathname: string): Place {
  return places.find((place) => pathname === `/admin/${place}`) ?? 'users';
}

function atOf(pathname: string): At {
  if (pathname === '/admin' || pathname.startsWith('/admin/')) return 'admin';
  return (['recent', 'starred', 'shared-with-me', 'shared-by-me', 'trash'] as const).find((at) => pathname === `/${at}`) ?? 'files';
}

const idOf = (pathname: string) => Number(/^\/by-id\/(\d+)$/.exec(pathname)?.[1] ?? 0);
const viewOf = (search: string) => new URLSearchParams(search).get('view') ?? '';
const queryOf = (search: string) => new URLSearchParams(search).get('q') ?? '';
