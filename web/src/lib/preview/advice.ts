/** What to do with a file that the page cannot show, by the ending of its name. */
import type { Entry } from '../api/types';
import type { Text } from '../words/words.svelte';

const kinds: [Text, string][] = [
  ['This is an office document. Download it and open it with an office program.', 'doc docx odt rtf xls xlsx ods ppt pptx odp pages numbers key'],
  ['This is an archive of a kind that is not looked into here. Download it and unpack it on your device.', 'tar gz tgz bz2 xz zst 7z rar iso dmg'],
  ['Browsers do not show pictures of this kind. Download it and open it with a picture program.', 'heic heif tif tiff psd raw dng cr2 cr3 nef arw xcf'],
  ['This is a book. Download it and open it with a reader.', 'epub mobi azw3 djvu'],
  ['This is a program. Download it only if you know where it comes from.', 'exe msi apk deb rpm appimage app pkg'],
];
const advice = new Map<string, Text>();
for (const [text, endings] of kinds) for (const ending of endings.split(' ')) advice.set(ending, text);

export function adviceFor({ name }: Pick<Entry, 'name'>): Text {
  const ending = name.slice(name.lastIndexOf('.') + 1).toLowerCase();
  return advice.get(ending) ?? 'There is no preview of this kind of file. You can download it and open it on your device.';
}
