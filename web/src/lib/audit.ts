/** The audit log in the page's words. What there are no words for is shown as it was written. */
import type { AuditRecord } from './api/admin';
import { sayBounds } from './gib';
import { modeOf } from './links';
import { t, type Text } from './words/words.svelte';

/** The actions that the server writes down, and their words. */
export const actions = {
  'sign-in': 'Sign-in',
  'sign-out': 'Sign-out',
  'session-ended': 'Session ended',
  'password-changed': 'Password changed',
  'reset-link-made': 'Link for a new password made',
  'address-changed': 'E-mail address changed',
  'invitation-made': 'Invitation made',
  'invitation-revoked': 'Invitation withdrawn',
  'identity-linked': 'Other sign-in linked',
  'identity-unlinked': 'Other sign-in unlinked',
  'user-created': 'Account created',
  'user-disabled': 'Account disabled',
  'user-enabled': 'Account enabled',
  'user-deleted': 'Account deleted',
  'role-changed': 'Role changed',
  'group-created': 'Group created',
  'group-renamed': 'Group renamed',
  'group-deleted': 'Group deleted',
  'member-added': 'Member added',
  'member-removed': 'Member removed',
  'quota-set': 'Quota set',
  'totp-set': 'One-time codes set up',
  'totp-removed': 'One-time codes removed',
  'passkey-added': 'Passkey added',
  'passkey-renamed': 'Passkey renamed',
  'passkey-removed': 'Passkey removed',
  'recovery-codes-made': 'Recovery codes made',
  'factors-reset': 'Second factors reset',
  'app-password-made': 'App password made',
  'app-password-revoked': 'App password withdrawn',
  'link-made': 'Link made',
  'link-changed': 'Link changed',
  'link-revoked': 'Link revoked',
  shared: 'Shared',
  unshared: 'Share removed',
  transferred: 'Given away',
  'made-public': 'Made visible to all',
  'made-restricted': 'Made restricted',
  deleted: 'Deleted',
  restored: 'Restored',
  purged: 'Deleted for good',
  'service-joined': 'Service joined',
  'service-left': 'Service left',
  'service-drained': 'Service drained',
  'service-revoked': 'Service cut off',
  'service-allowed': 'Service let in again',
} as const satisfies Readonly<Record<string, Text>>;

const words: Readonly<Record<string, Text>> = actions;

export function sayAction(action: string): string {
  const word = Object.hasOwn(words, action) ? words[action] : undefined;
  return word ? t(word) : action;
}

/** What was done, to what. */
export function sayAbout({ action, about }: AuditRecord): string {
  if (action === 'quota-set' && about === 'everybody') return t('All users together');
  if (action === 'quota-set' && about === 'others') return t('Each user');
  return action === 'service-joined' || action === 'service-left' ? sayKind(about) : about;
}

export function sayDetail({ action, detail }: AuditRecord): string {
  if (action === 'link-made' || action === 'link-changed') return detail === 'view' || detail === 'download' || detail === 'upload' ? t(modeOf({ mode: detail }).label) : detail;
  if (action === 'service-drained' || action === 'service-revoked' || action === 'service-allowed') return sayKind(detail);
  for (const [actions, match, say] of details) {
    const found = actions.includes(action) && match.exec(detail);
    if (found) return say(found[1] ?? '', found[2] ?? '');
  }
  return detail;
}

const sayKind = (kind: string) => (/^upload(-service)?$/.test(kind) ? t('Uploads') : /^thumbnail(-service)?$/.test(kind) ? t('Thumbnails') : kind);

/** Users have no spaces in their names: what has one is a group, or is gone. */
function sayGrantee(text: string): string {
  const found = /^(group number|user number|group) (.+)$/s.exec(text);
  if (!found) return text;
  const name = found[2]!;
  return found[1] === 'group' ? t('group {name}', { name }) : found[1] === 'group number' ? t('group number {n}', { n: name }) : t('user number {n}', { n: name });
}

const sharing = ['shared', 'unshared', 'transferred'];
const accounts = ['sign-in', 'user-created', 'password-changed', 'reset-link-made', 'role-changed', 'address-changed'];
type Detail = readonly [actions: readonly string[], match: RegExp, say: (one: string, two: string) => string];

/** Details by what they are of; the first that fits counts. */
const details: readonly Detail[] = [
  [['shared'], /^(.+), may read$/s, (who) => t('{who}, may read', { who: sayGrantee(who) })],
  [['shared'], /^(.+), may write$/s, (who) => t('{who}, may write', { who: sayGrantee(who) })],
  [sharing, /^(.+)$/s, sayGrantee],
  [['user-deleted'], /^files to the trash of (.+)$/s, (name) => t('files to the trash of {name}', { name })],
  [['user-deleted'], /^files to (.+)$/s, (name) => t('files to {name}', { name })],
  [['quota-set'], /^(\d+) bytes, (\d+) files$/, (bytes, files) => sayBounds({ bytes: Number(bytes), files: Number(files) })],
  [['quota-set'], /^as others$/, () => t('as others')],
  [['app-password-made'], /^read-only$/, () => t('for reading only')],
  [accounts, /^administrator$/, () => t('Administrator')],
  [accounts, /^user$/, () => t('User')],
  [accounts, /^removed$/, () => t('removed')],
  [accounts, /^one-time code$/, () => t('by a one-time code')],
  [accounts, /^recovery code$/, () => t('by a recovery code')],
  [accounts, /^passkey$/, () => t('by a passkey')],
  [accounts, /^by a link$/, () => t('by a link')],
  [accounts, /^by mail$/, () => t('by mail')],
  [['user-created'], /^invited by (\S+):\s*(.*)$/s, (name, what) => (what ? t('invited by {name}: {what}', { name, what }) : t('invited by {name}', { name }))],
  [accounts, /^by (.+)$/s, (name) => t('by {name}', { name })],
];
