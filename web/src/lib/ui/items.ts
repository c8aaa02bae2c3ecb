/** Items of the page's menus. */
import type { Entry, Place } from '../api/types';
import { mayArrange, mayDelete, mayPublish, mayShare } from '../rights';
import type { Desk } from '../state/desk.svelte';
import { t } from '../words/words.svelte';
import type { Item } from './menu';

type On = {
  open: (entry: Entry) => void;
  rename: (entry: Entry) => void;
  /** Shows where it lies; for lists of entries from anywhere. */
  place?: (entry: Entry) => void;
  starred: ReadonlySet<number>;
};

/** What can be done with some entries. */
export function itemsFor(entries: Entry[], desk: Desk, on: On): Item[] {
  const one = entries.length === 1 ? entries[0] : undefined;
  const files = entries.filter(mayPublish);
  const hidden = files.filter((e) => !e.public);
  const unstarred = entries.some((e) => !on.starred.has(e.id));
  const items: Item[] = [];
  if (one) items.push({ label: t('Open'), icon: one.kind === 'folder' ? 'folder' : 'eye', keys: 'Enter', act: () => on.open(one) });
  if (one && on.place) items.push({ label: t('Show in its folder'), icon: 'folder', act: () => on.place?.(one) });
  items.push({ label: one?.kind === 'folder' ? t('Download as zip') : t('Download'), icon: 'download', act: () => void desk.download(entries) });
  items.push({ label: unstarred ? t('Star') : t('Remove star'), icon: 'star', keys: 'S', act: () => void desk.star(entries, unstarred) });
  if (one) items.push({ label: t('Rename'), icon: 'pencil', keys: 'F2', apart: true, disabled: !mayArrange(one), act: () => on.rename(one) });
  items.push({ label: t('Move…'), icon: 'move', apart: !one, disabled: !entries.every(mayArrange), act: () => (desk.open = { at: 'move', entries }) });
  items.push({ label: t('Copy'), icon: 'copy', keys: t('Ctrl') + ' C', act: () => desk.take(entries, false) });
  items.push({ label: t('Cut'), icon: 'cut', keys: t('Ctrl') + ' X', disabled: !entries.every(mayArrange), act: () => desk.take(entries, true) });
  if (one?.kind === 'folder' && desk.clip) items.push(pasteItem(one, desk));
  if (files.length > 0 && files.length === entries.length) {
    if (hidden.length > 0) items.push({ label: t('Make visible to all users'), icon: 'globe', act: () => void desk.publish(hidden, true) });
    else items.push({ label: t('Make visible to me only'), icon: 'lock', act: () => void desk.publish(files, false) });
  }
  if (one && mayShare(one)) {
    items.push({ label: t('Share…'), icon: 'people', act: () => (desk.open = { at: 'share', entry: one, by: 'people' }) });
    items.push({ label: t('Links…'), icon: 'link', act: () => (desk.open = { at: 'share', entry: one, by: 'links' }) });
  }
  if (one?.kind === 'folder') items.push({ label: t('Activity…'), icon: 'history', act: () => (desk.open = { at: 'activity', folder: one }) });
  if (one) items.push({ label: t('Properties'), icon: 'info', keys: 'I', act: () => (desk.open = { at: 'properties', entry: one }) });
  items.push({ label: t('Delete…'), icon: 'trash', keys: t('Del'), danger: true, apart: true, disabled: !entries.every(mayDelete), act: () => (desk.open = { at: 'delete', entries }) });
  return items;
}

export const pasteItem = (into: Place, desk: Desk): Item => ({ label: t('Paste'), icon: 'paste', keys: t('Ctrl') + ' V', act: () => void desk.paste(into) });
