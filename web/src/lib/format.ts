/** Numbers, sizes and times as people read them. */

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function formatBytes(n: number): string {
  let i = 0;
  // What would be rounded up to 1024 is 1 of the next unit.
  while (n >= (i === 0 ? 1024 : 1023.5) && i < units.length - 1) {
    n /= 1024;
    i++;
  }
  const digits = i === 0 || n >= 9.95 ? 0 : 1;
  return `${n.toFixed(digits)} ${units[i]}`;
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

const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const date = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: 'long', timeStyle: 'medium' });

/** Short for a list: the time today, the day this year, else the date. */
export function formatWhen(iso: string, now = new Date()): string {
  const t = new Date(iso);
  if (Number.isNaN(t.getTime())) return '';
  if (t.toDateString() === now.toDateString()) return clock.format(t);
  return t.getFullYear() === now.getFullYear() ? day.format(t) : date.format(t);
}

/** Date and time in full. */
export function formatMoment(iso: string): string {
  const t = new Date(iso);
  return Number.isNaN(t.getTime()) ? '' : whole.format(t);
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString()} ${n === 1 ? one : many}`;
}
