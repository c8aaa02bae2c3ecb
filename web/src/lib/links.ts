/** Terms of a link: as people write them, as the server wants them, and in words. */
import type { Link, LinkMode, LinkUse, LinkWish } from './api/links';
import type { Kind } from './api/types';
import type { IconName } from './ui/icons';
import { agentName } from './agent';
import { formatCount, formatWhen } from './format';
import { t, tn } from './words/words.svelte';
import type { Text } from './words/words.svelte';

export type Mode = { mode: LinkMode; icon: IconName; label: Text; hint: Text };

const modes: readonly Mode[] = [
  { mode: 'view', icon: 'eye', label: 'Look and download', hint: 'With previews.' },
  { mode: 'download', icon: 'download', label: 'Download only', hint: 'Names and sizes, no previews.' },
  { mode: 'upload', icon: 'upload', label: 'Send files', hint: 'Whoever has it puts files here, and sees none.' },
];

/** Files are sent to folders only. */
export const modesFor = (kind: Kind): readonly Mode[] => modes.filter((m) => m.mode !== 'upload' || kind === 'folder');
export const modeOf = (link: Pick<Link, 'mode'>): Mode => modes.find((m) => m.mode === link.mode) ?? modes[0]!;

/** What stands in the fields of a form. */
export type Terms = {
  mode: LinkMode;
  name: string;
  password: string;
  /** Takes off the password that the link has. */
  open: boolean;
  /** As a field for a local time has it, '' for never. */
  until: string;
  /** '' for any number. */
  uses: string;
};

export function termsOf(link: Link | undefined): Terms {
  return {
    mode: link?.mode ?? 'view',
    name: link?.name ?? '',
    password: '',
    open: false,
    until: link?.expires_at ? localTime(new Date(link.expires_at)) : '',
    uses: link?.most_uses ? String(link.most_uses) : '',
  };
}

/** Minutes are all that a field shows: an end that was not changed stays to the microsecond. */
export function wishOf(terms: Terms, link: Link | undefined): LinkWish {
  const kept = link?.expires_at && terms.until === localTime(new Date(link.expires_at)) ? link.expires_at : undefined;
  const end = kept ?? (terms.until ? new Date(terms.until).toISOString() : undefined);
  return {
    mode: terms.mode,
    name: terms.name.trim(),
    most_uses: Math.max(0, Math.trunc(Number(terms.uses) || 0)),
    ...(end && { expires_at: end }),
    ...(terms.open ? { password: '' } : terms.password ? { password: terms.password } : {}),
  };
}

/** As <input type=datetime-local> wants it. */
export function localTime(at: Date): string {
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** What there is to say of a link beside its title, which may tell the mode already. */
export function sayLink(l: Link, title: string): string {
  const mode = t(modeOf(l).label);
  return [
    mode !== title && mode,
    l.password && t('with a password'),
    l.expires_at && t('until {when}', { when: formatWhen(l.expires_at) }),
    l.most_uses > 0 ? tn(l.most_uses, '{used} of {n} use', '{used} of {n} uses', { used: formatCount(l.uses) }) : l.uses > 0 && tn(l.uses, '{n} use', '{n} uses'),
    l.used_at ? t('used {when}', { when: formatWhen(l.used_at) }) : t('never used'),
  ]
    .filter((x): x is string => Boolean(x))
    .join(' · ');
}

const actions: Record<LinkUse['action'], Text> = { opened: 'Opened', downloaded: 'Downloaded', uploaded: 'Sent', refused: 'Wrong password' };

export function sayUse(u: LinkUse): string {
  return [formatWhen(u.at), t(actions[u.action]), u.name, u.address, agentName(u.agent)].filter(Boolean).join(' · ');
}
