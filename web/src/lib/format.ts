/** Numbers, sizes and times as people read them, in the page's language. */
import { language, type Language } from './words/words.svelte';

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function formatBytes(n: number): string {
  let i = 0;
  // What would be rounded up to 1024 is 1 of the next unit.
  while (n >= (i === 0 ? 1024 : 1023.5) && i < units.length - 1) {
    n /= 1024;
    i++;
  }
  const digits = i === 0 || n >= 9.95 ? 0 : 1;
  const text = n.toFixed(digits);
  return `${language() === 'de' ? text.replace('.', ',') : text} ${units[i]}`;
}

/** "3 min", "45 s", "2 h 5 min"; '' where it cannot be told. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '';
  const s = Math.max(1, Math.round(seconds));
  if (s < 60) return `${s} s`;
  const m = Math.round(s / 60);
  if (m < 60) return `${m} min`;
  return m % 60 === 0 ? `${m / 60} h` : `${Math.floor(m / 60)} h ${m % 60} min`;
}

type Formats = Record<'clock' | 'day' | 'date' | 'whole', Intl.DateTimeFormat>;
const made = new Map<Language, Formats>(); // making one is slow, and lists want hundreds

function formats(): Formats {
  const code = language();
  let f = made.get(code);
  if (!f) {
    // The browser's own kind of its language, such as British English, before the plain one.
    const locale = navigator.languages.find((l) => l.startsWith(code)) ?? code;
    f = {
      clock: new Intl.DateTimeFormat(locale, { hour: 'numeric', minute: '2-digit' }),
      day: new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' }),
      date: new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', year: 'numeric' }),
      whole: new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'medium' }),
    };
    made.set(code, f);
  }
  return f;
}

/** Short for a list: the time today, the day this year, else the date. */
export function formatWhen(iso: string, now = new Date()): string {
  const t = new Date(iso);
  if (Number.isNaN(t.getTime())) return '';
  const { clock, day, date } = formats();
  if (t.toDateString() === now.toDateString()) return clock.format(t);
  return t.getFullYear() === now.getFullYear() ? day.format(t) : date.format(t);
}

/** Date and time in full. */
export function formatMoment(iso: string): string {
  const t = new Date(iso);
  return Number.isNaN(t.getTime()) ? '' : formats().whole.format(t);
}

export const formatCount = (n: number) => n.toLocaleString(language());
