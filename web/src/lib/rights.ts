/** What the reader of the page may do with an entry, as the manager will see it. */
import type { Entry } from './api/types';

/** Rename and move: public folders are everybody's to arrange. */
export const mayArrange = (e: Entry) => e.can === 'rw' || (e.kind === 'folder' && e.public);

export const mayDelete = (e: Entry) => e.can === 'rw';

/** Delete its former contents for good. */
export const mayForget = (e: Entry) => e.owner === null || e.access === 'owned';

/** Share it, make links to it, and give it away. */
export const mayShare = (e: Entry) => e.id !== 0 && e.owner !== null && e.access === 'owned';

/** Decide who sees it. */
export const mayPublish = (e: Entry) => e.kind === 'file' && e.owner !== null && e.access === 'owned';
