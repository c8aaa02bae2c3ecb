import { expect, test } from 'vitest';
import { fromDrop, fromInput } from './pick';

test('an input of files has no folders, one of a folder has them', () => {
  const plain = new File(['x'], 'a.txt');
  const deep = new File(['y'], 'b.txt');
  Object.defineProperty(deep, 'webkitRelativePath', { value: 'trip/day 1/b.txt' });
  expect(fromInput([plain, deep])).toEqual({
    files: [
      { file: plain, folders: [] },
      { file: deep, folders: ['trip', 'day 1'] },
    ],
    emptyFolders: [],
  });
});

type Tree = { [name: string]: Tree | File };

/** The entry API of browsers, with batches of two. */
function entry(name: string, node: Tree | File): FileSystemEntry {
  if (node instanceof File) return { isFile: true, name, file: (ok: (f: File) => void) => ok(node) } as unknown as FileSystemEntry;
  const children = Object.entries(node).map(([n, child]) => entry(n, child));
  return {
    isFile: false,
    name,
    createReader: () => ({ readEntries: (ok: (batch: FileSystemEntry[]) => void) => ok(children.splice(0, 2)) }),
  } as unknown as FileSystemEntry;
}

test('a drop is walked to its leaves, in batches, with empty folders', async () => {
  const f = (name: string) => new File([name], name);
  const tree: Tree = { a: f('a'), b: f('b'), c: f('c'), deep: { d: f('d') }, hollow: {} };
  const text = { kind: 'string', webkitGetAsEntry: () => null };
  const bare = f('bare');
  const items = [
    text,
    { kind: 'file', webkitGetAsEntry: () => entry('trip', tree) },
    { kind: 'file', webkitGetAsEntry: () => null, getAsFile: () => bare },
  ];
  const pick = await fromDrop({ items } as unknown as DataTransfer);
  expect(pick.files.map(({ file, folders }) => [...folders, file.name].join('/'))).toEqual(['bare', 'trip/a', 'trip/b', 'trip/c', 'trip/deep/d']);
  expect(pick.emptyFolders).toEqual([['trip', 'hollow']]);
});
