/** Items of the page's menus. */
import type { Entry } from '../api/types';
import { mayArrange, mayDelete, mayPublish } from '../rights';
import type { Desk } from '../state/desk.svelte';
import { t } from '../words/words.svelte';
import type { Item } from './menu';

/** What can be done with some entries. */
export function itemsFor(entries: Entry[], desk: Desk, onopen: (entry: Entry) => void): Item[] {
  const one = entries.length === 1 ? entries[0] : undefined;
  const files = entries.filter(mayPublish);
  const hidden = files.filter((e) => !e.public);
  const items: Item[] = [];
  if (one) items.push({ label: t('Open'), icon: one.kind === 'folder' ? 'folder' : 'eye', keys: 'Enter', act: () => onopen(one) });
  items.push({ label: one?.kind === 'folder' ? t('Download as zip') : t('Download'), icon: 'download', act: () => void desk.download(entries) });
  if (one) items.push({ label: t('Rename…'), icon: 'pencil', keys: 'F2', apart: true, disabled: !mayArrange(one), act: () => (desk.open = { at: 'rename', entry: one }) });
  items.push({ label: t('Move…'), icon: 'move', apart: !one, disabled: !entries.every(mayArrange), act: () => (desk.open = { at: 'move', entries }) });
  if (files.length > 0 && files.length === entries.length) {
    if (hidden.length > 0) items.push({ label: t('Make visible to all users'), icon: 'globe', act: () => void desk.publish(hidden, true) });
    else items.push({ label: t('Make visible to me only'), icon: 'lock', act: () => void desk.publish(files, false) });
  }
  if (one) items.push({ label: t('Properties'), icon: 'info', keys: 'I', act: () => (desk.open = { at: 'properties', entry: one }) });
  items.push({ label: t('Delete…'), icon: 'trash', keys: t('Del'), danger: true, apart: true, disabled: !entries.every(mayDelete), act: () => (desk.open = { at: 'delete', entries }) });
  return items;
}
