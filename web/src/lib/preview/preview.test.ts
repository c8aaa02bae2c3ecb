import { render } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { coloured } from './colours';
import { previewOf } from './kinds';
import { safeLink } from './markdown';
import MarkdownView from './MarkdownView.svelte';
import { readTable } from './table';
import { decode } from './text';
import { atRest, held, scaledAt, swiped } from './zoom';

test.each([
  ['a.PNG', '', 'image'],
  ['a', 'image/jpeg', 'image'],
  ['a.mp4', '', 'video'],
  ['a.ts', 'video/mp2t', 'code'],
  ['a.md', 'text/plain', 'markdown'],
  ['a.tsv', '', 'table'],
  ['LICENSE', 'text/plain; charset=utf-8', 'text'],
  ['a.html', 'text/html', 'code'],
  ['a.pdf', 'application/pdf', 'pdf'],
  ['a', 'application/zip', 'zip'],
  ['a.bin', '', undefined],
])('%s of type "%s" is shown as %s', (name, type, as) => expect(previewOf({ kind: 'file', name, type })?.as).toBe(as));

test('folders are not shown', () => expect(previewOf({ kind: 'folder', name: 'a.png', type: '' })).toBeUndefined());

describe('tables', () => {
  test.each([
    ['a,b\n1,2\n', [['a', 'b'], ['1', '2']]],
    ['a;b\r\n"x;""y""\nz";2', [['a', 'b'], ['x;"y"\nz', '2']]],
    ['"a,b"\t2\n', [['a,b', '2']]],
    ['a\n\nb', [['a'], ['b']]],
    ['a,\n', [['a', '']]],
    ['', []],
    ['"open', [['open']]],
  ])('%j', (text, rows) => expect(readTable(text, 100).rows).toEqual(rows));

  test('of many rows some are read', () => {
    expect(readTable('1\n2\n3\n', 2)).toEqual({ rows: [['1'], ['2']], more: true });
    expect(readTable('1\n2\n', 2)).toEqual({ rows: [['1'], ['2']], more: false });
  });
});

test('bytes are read as what they are', () => {
  expect(decode(new Uint8Array([0xc3, 0xbc]))).toBe('ü');
  expect(decode(new Uint8Array([0x61, 0xe2, 0x82]))).toBe('a'); // cut within a character
  expect(decode(new Uint8Array([0xff, 0xfe, 0x61, 0x00]))).toBe('a');
  expect(decode(new Uint8Array([0xfc, 0x62]))).toBe('üb');
});

describe('documents', () => {
  const shown = (text: string) => render(MarkdownView, { text }).container.querySelector('article')!;

  test('HTML in them is text, pictures are not fetched, links lead to the web only', () => {
    const a = shown('<script>alert(1)</script>\n\nx <b onclick=y>z</b> ![p](https://e.example/p.png) [l](javascript:alert(1)) [m](https://e.example/)');
    expect(a.querySelectorAll('script, b, img')).toHaveLength(0);
    expect(a.textContent).toContain('<script>alert(1)</script>');
    expect(a.textContent).toContain('[p]');
    const links = [...a.querySelectorAll('a')].map((x) => [x.href, x.rel, x.textContent]);
    expect(links).toEqual([['https://e.example/', 'noopener noreferrer', 'm']]);
  });

  test('they have their parts', () => {
    const a = shown('# H\n\n1. one\n2. two\n   - *deep* `x < y`\n\n> q\n\n```go\na & b\n```\n\n| a |\n| - |\n| 1 |\n\n- [x] done\n\n**b** ~~s~~ &amp; \\*\n\n---');
    for (const part of ['h1', 'ol > li', 'li li em', 'blockquote', 'table td', 'input[type=checkbox]:checked', 'strong', 'del', 'hr']) expect(a.querySelectorAll(part).length, part).toBeGreaterThan(0);
    expect([...a.querySelectorAll('code')].map((c) => c.textContent)).toEqual(['x < y', 'a & b']);
    expect(a.textContent).toMatch(/& \*/);
  });

  test.each([
    ['https://a.example/x?y', 'https://a.example/x?y'],
    ['mailto:a@b.example', 'mailto:a@b.example'],
    ['JaVaScRiPt:alert(1)', ''],
    ['data:text/html,x', ''],
    ['other.md', ''],
  ])('a link to %s', (href, to) => expect(safeLink(href)).toBe(to));
});

test('colours change no character of the code', () => {
  const code = 'const a = "<b>" && `${x}`; // end\n';
  const div = document.createElement('div');
  div.append(coloured(code, 'typescript'));
  expect(div.textContent).toBe(code);
  expect(div.querySelector('.hljs-keyword')?.textContent).toBe('const');
  expect(coloured(code, 'no language').textContent).toBe(code);
});

test('a picture is scaled around the pointer, and stays on the stage', () => {
  expect(scaledAt(atRest, 2, { x: 100, y: 0 })).toEqual({ scale: 2, x: -100, y: 0 });
  expect(scaledAt({ scale: 2, x: -100, y: 5 }, 0.4, { x: 0, y: 0 })).toEqual(atRest);
  expect(scaledAt(atRest, 100, { x: 0, y: 0 }).scale).toBe(16);
  expect(held({ scale: 2, x: 900, y: -900 }, 400, 300)).toEqual({ scale: 2, x: 400, y: -300 });
});

test.each([
  [{ x: -90, y: 20 }, 1],
  [{ x: 90, y: -20 }, -1],
  [{ x: 50, y: 0 }, undefined],
  [{ x: 90, y: 60 }, undefined],
  [{ x: 10, y: 150 }, 'away'],
  [{ x: 10, y: -150 }, undefined],
] as const)('a finger that moves by %j means %s', (slide, way) => expect(swiped(slide)).toBe(way));
