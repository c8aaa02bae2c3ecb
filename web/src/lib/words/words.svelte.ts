/** The page's language. English is in the code; other languages are tables of it. */
import type { german } from './de';
import type { ServerTexts } from './server';

/** What the page can say: every text has its place in the German table. */
export type Text = keyof typeof german;
export type Language = 'en' | 'de';

export const languages: readonly { code: Language; name: string }[] = [
  { code: 'en', name: 'English' },
  { code: 'de', name: 'Deutsch' },
];

const key = 'discord-cloud-language';
type Table = { texts: Record<Text, string>; server: ServerTexts };
const tables: Record<Language, () => Promise<Table | undefined>> = {
  en: () => Promise.resolve(undefined),
  de: async () => {
    const [{ german }, { serverGerman }] = await Promise.all([import('./de'), import('./de.server')]);
    return { texts: german, server: serverGerman };
  },
};

let code = $state.raw<Language>('en');
let spoken = $state.raw<Table | undefined>();

export const language = (): Language => code;

/** The tables of the language that is spoken; none for English. */
export const table = (): Table | undefined => spoken;

/** The language of this browser's person: chosen before, or the browser's own. */
export function preferred(): Language {
  const wished = [localStorage.getItem(key), ...navigator.languages.map((l) => l.slice(0, 2))];
  return languages.find((l) => wished.find((w) => languages.some(({ code }) => code === w)) === l.code)?.code ?? 'en';
}

/** Speaks a language from now on; all that is shown changes at once. */
export async function speak(next: Language): Promise<void> {
  const loaded = await tables[next]();
  spoken = loaded;
  code = next;
  document.documentElement.lang = next;
}

/** Speaks a language here and on later visits. */
export async function choose(next: Language): Promise<void> {
  await speak(next);
  localStorage.setItem(key, next);
}

type Values = Record<string, string | number>;

/** A text in the page's language, with values in the places of {their names}. */
export function t(text: Text, values?: Values): string {
  const said = spoken?.texts[text] ?? text;
  return values ? said.replace(/\{(\w+)\}/g, (hole, name: string) => (name in values ? String(values[name]) : hole)) : said;
}

/** One text for one, another for more; {n} is how many. */
export function tn(n: number, one: Text, many: Text, values?: Values): string {
  return t(n === 1 ? one : many, { n: n.toLocaleString(code), ...values });
}
