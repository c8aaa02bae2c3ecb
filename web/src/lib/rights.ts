/** What the reader of the page may do with an entry, as the manager will see it. */
import type { Entry } from './api/types';

/** Rename and move: public folders are everybody's to arrange. */
export const mayArrange = (e: Entry) => e.can === 'rw' || (e.kind === 'folder' && e.public);

export const mayDelete = (e: Entry) => e.can === 'rw';

/** Decide who sees it. */
export const mayPublish = (e: Entry) => e.kind === 'file' && e.owner !== null && e.access === 'owned';

/** Make links to it. */
export const mayLink = (e: Entry) => e.id !== 0 && e.owner !== null && e.access === 'owned';
