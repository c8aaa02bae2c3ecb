/** Pictures of files in tiles, in the viewer and what is known of them, in a real browser on the real binary. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { installed } from './programs';
import { pdf, png } from './samples';
import { soon, visit } from './visit';
import type { Visitor } from './visitor';

const v = visit();
let ada: Visitor;
beforeAll(() => void (ada = v.ada));

const drawing = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 120"><script>document.title = 'run'</script>
<rect width="160" height="120" fill="#3060c0"/><circle cx="60" cy="60" r="40" fill="#e0b020"/></svg>`;

test('a tile has the colours of its picture before it comes', async () => {
  await writeFile(join(v.disk, 'dawn.png'), png(900, 560));
  await writeFile(join(v.disk, 'drawing.svg'), drawing);
  await writeFile(join(v.disk, 'paper.pdf'), pdf(['A paper', 'of some lines']));
  await v.setUp();
  let release = (): void => undefined;
  const held = new Promise<void>((r) => (release = r));
  await ada.page.route('**/thumbnail?size=256*', async (route) => {
    await held;
    await route.continue();
  });
  await ada.drop([join(v.disk, 'dawn.png'), join(v.disk, 'drawing.svg'), join(v.disk, 'paper.pdf')]);
  await ada.finished('3 uploads').waitFor();
  await ada.button('Clear uploads').click();
  await ada.button('Show as tiles').click();
  const face = (name: string) => ada.row(name).locator('.face');
  await face('dawn.png').locator('canvas').waitFor(soon);
  const pixels = await face('dawn.png').locator('canvas').evaluate((c: HTMLCanvasElement) => [...c.getContext('2d')!.getImageData(0, 0, c.width, c.height).data]);
  expect(pixels.filter((_, i) => i % 4 === 3).every((alpha) => alpha === 255)).toBe(true);
  expect(new Set(pixels).size).toBeGreaterThan(20);
  release();
  const shown = ['dawn.png'];
  if (installed('rsvg-convert') || installed('vipsthumbnail')) shown.push('drawing.svg');
  if (installed('pdftoppm')) shown.push('paper.pdf');
  for (const name of shown) {
    await vi.waitFor(async () => expect(await face(name).locator('img').evaluate((i: HTMLImageElement) => i.naturalWidth)).toBeGreaterThan(100), soon);
    expect(await face(name).locator('canvas').count()).toBe(0);
  }
  // In a list pictures stand in the place of their icons, and documents keep theirs: nobody reads a page of that size.
  await ada.button('Show as list').click();
  await vi.waitFor(async () => expect(await face('dawn.png').locator('img').evaluate((i: HTMLImageElement) => i.naturalWidth)).toBeGreaterThan(100), soon);
  expect(await face('paper.pdf').locator('svg').count()).toBe(1);
  await ada.button('Show as tiles').click();
  await ada.page.unrouteAll({ behavior: 'wait' });
});

test('what is known of a picture stands among its properties', async () => {
  await ada.row('dawn.png').click();
  await ada.page.keyboard.press('i');
  const dialog = ada.page.getByRole('dialog', { name: 'Properties' });
  await dialog.getByText('900 × 560').waitFor();
  await dialog.getByText('Dimensions').waitFor();
  await ada.page.keyboard.press('Escape');
});
