/** The pictures of docs/, taken of the page as it is: of its main views at a desk and on a phone, in both themes. */
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { pdf, wav, withExif, zip } from './samples';
import { landscapes, notes, program, weather } from './scenery';
import { MiB, password, soon, visit } from './visit';
import { Visitor } from './visitor';

describe.runIf(process.env['SCREENSHOTS'])('pictures', { timeout: 120_000 }, () => {
  const v = visit();
  let ada: Visitor;
  beforeAll(() => void (ada = v.ada));
  const viewer = (name: string, of = ada) => of.page.getByRole('dialog', { name, exact: true });
  const photos = ['Glacier at dawn.jpg', 'Camp One.jpg', 'North face.jpg', 'Second ridge.jpg', 'The lake.jpg', 'Midnight sun.jpg', 'Way down.jpg', 'Last evening.jpg'];

  /** Whether all thumbnails that are wanted have come. */
  const drawn = (of: Visitor) =>
    vi.waitFor(async () => expect(await of.page.locator('.face img').evaluateAll((all) => all.length >= 4 && all.every((i) => (i as HTMLImageElement).naturalWidth > 0))).toBe(true), { timeout: 30_000, interval: 200 });

  test('an expedition', async () => {
    await v.setUp();
    for (const name of ['Mara', 'Jonas']) await ada.api('POST', '/api/users', { username: name, password, administrator: false });
    const files: Record<string, Buffer | string | number> = {
      'Budget.xlsx': 48_200,
      'Crew interview.wav': wav(40),
      'Field notes.md': notes,
      'Packing list.txt': 'tents\nstoves\nice screws\n',
      'Route plan.pdf': pdf(['Route plan', 'Camp One', 'Camp Two', 'The ridge', 'Way down']),
      'track-to-geojson.py': program,
      'Weather 2026.csv': weather,
      'Maps.zip': zip({ 'maps/': '', 'maps/overview.svg': 'x'.repeat(90_000), 'maps/north face.svg': 'x'.repeat(120_000), 'maps/legend.txt': 'blue: water' }),
      'Maps/overview.svg': '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 9L4 1l5 8" fill="#4653e0"/></svg>',
      'Recordings/station one.wav': wav(380),
      'Recordings/station two.wav': wav(250),
    };
    for (const [name, photo] of Object.entries(await landscapes(v.browser, photos))) {
      files[`Photos/${name}`] = withExif(photo, 'Field Camera 3000', '2026:06:12 04:48:00');
      if (name.startsWith('G')) files[name] = files[`Photos/${name}`]!;
    }
    for (const [path, content] of Object.entries(files)) await v.file(`Expedition/${path}`, content);
    await ada.drop([`${v.disk}/Expedition`]);
    await ada.finished(`${Object.keys(files).length} uploads`).waitFor({ timeout: 60_000 });
    await ada.button('Clear uploads').click();
    for (const name of ['Archive', 'Household', 'Music']) await ada.api('POST', '/api/entries/0/folders', { name });
    await ada.page.getByRole('link', { name: 'Expedition' }).click();
    await ada.row('Route plan.pdf').waitFor();
    await ada.menu('Route plan.pdf', 'Make visible to all users');
    await ada.menu('Field notes.md', 'Star');
    await ada.page.keyboard.press('Escape');
    await ada.page.getByRole('treeitem', { name: 'Expedition' }).getByRole('button', { includeHidden: true }).click();
    await ada.page.getByRole('treeitem', { name: 'Photos' }).waitFor();
    await ada.page.locator('.toast').first().waitFor({ state: 'detached' });
  });

  test('the list, with uploads, in both themes', async () => {
    await ada.throttle(5 * MiB);
    await ada.pick([await v.file('Aerial survey.mp4', 38 * MiB), await v.file('Sensor archive.tar.zst', 26 * MiB), await v.file('Drone, day 2.mp4', 9 * MiB)]);
    await ada.page.mouse.move(640, 795); // away from what lights up
    const progress = ada.upload('Aerial survey.mp4').getByRole('progressbar');
    await vi.waitFor(async () => expect(await progress.evaluate((e: HTMLProgressElement) => e.value)).toBeGreaterThan(14 * MiB), { timeout: 20_000 });
    await ada.page.getByText(/left$/).waitFor();
    await v.picture('files');
    await ada.page.emulateMedia({ colorScheme: 'dark' });
    await v.picture('files-dark');
    await ada.page.emulateMedia({ colorScheme: 'light' });
    await ada.button('Pause Sensor archive.tar.zst').click();
    await ada.upload('Sensor archive.tar.zst').getByText(/^Paused/).waitFor();
    const panel = (await ada.page.getByRole('region', { name: 'Uploads' }).boundingBox())!;
    await v.picture('uploads', ada, { x: panel.x - 24, y: panel.y - 24, width: panel.width + 48, height: panel.height + 48 });
    await ada.button('Cancel all').click();
    await ada.throttle(0);
    await ada.button('Clear uploads').click();
  });

  test('tiles and a photo, in both themes', async () => {
    await ada.page.goto(`${v.server.url}/files/Expedition/Photos`);
    await ada.button('Show as tiles').click();
    await ada.row('Camp One.jpg').waitFor();
    await drawn(ada);
    await v.picture('tiles');
    await ada.page.emulateMedia({ colorScheme: 'dark' });
    await v.picture('tiles-dark');
    await ada.page.emulateMedia({ colorScheme: 'light' });
    await ada.row('Midnight sun.jpg').dblclick();
    await viewer('Midnight sun.jpg').getByRole('img', { name: 'Midnight sun.jpg' }).waitFor();
    await ada.page.keyboard.press('i');
    await viewer('Midnight sun.jpg').getByText('Field Camera 3000').waitFor();
    await viewer('Midnight sun.jpg').getByText(/^\d+ %$/).waitFor();
    await v.picture('preview');
    await ada.page.emulateMedia({ colorScheme: 'dark' });
    await v.picture('preview-dark');
    await ada.page.emulateMedia({ colorScheme: 'light' });
    await ada.page.keyboard.press('Escape');
    await ada.button('Show as list').click();
  });

  test('documents', async () => {
    const show = async (name: string, picture: string, there: string) => {
      await ada.page.goto(`${v.server.url}/files/Expedition?view=${encodeURIComponent(name)}`);
      await viewer(name).getByText(there, { exact: true }).first().waitFor();
      await ada.page.waitForLoadState('networkidle');
      await v.picture(picture);
    };
    await show('Route plan.pdf', 'pdf', 'Route plan');
    await show('Field notes.md', 'markdown', 'To do');
    await show('Weather 2026.csv', 'table', 'temperature');
    await show('track-to-geojson.py', 'code', 'import');
    await show('Maps.zip', 'zip', 'maps/legend.txt');
    await ada.page.keyboard.press('Escape');
  });

  test('search, properties, the trash, settings', async () => {
    await ada.page.goto(`${v.server.url}/files?q=ma`);
    await ada.page.getByRole('row', { name: 'Maps.zip' }).waitFor();
    await v.picture('search');
    await ada.page.goto(`${v.server.url}/files`);
    await ada.menu('Expedition', 'Properties');
    await ada.dialog('Properties').getByText('What takes the space').waitFor();
    await v.picture('properties');
    await ada.page.keyboard.press('Escape');
    await ada.page.keyboard.press('Escape');
    for (const name of ['Archive', 'Household']) {
      await ada.row(name).click();
      await ada.page.keyboard.press('Delete');
      await ada.dialog(`Delete “${name}”?`).getByRole('button', { name: 'Delete' }).click();
      await ada.row(name).waitFor({ state: 'detached' });
    }
    await ada.page.getByRole('link', { name: 'Trash' }).click();
    await ada.button('Restore Household').waitFor();
    await vi.waitFor(async () => expect(await ada.page.locator('.toast').count()).toBe(0), { timeout: 15_000, interval: 200 });
    await v.picture('trash');
    await ada.page.getByRole('link', { name: 'discord-cloud' }).click();
    await ada.page.keyboard.press('?');
    await ada.dialog('Keyboard shortcuts').waitFor();
    await v.picture('keys');
    await ada.page.keyboard.press('Escape');
    await ada.button('Account of ada').click();
    await ada.page.getByRole('menuitem', { name: 'Settings…' }).click();
    await ada.dialog('Settings').getByRole('radio', { name: 'Dark' }).waitFor();
    await v.picture('settings');
    await ada.page.keyboard.press('Escape');
  });

  test('a phone, in both themes', async () => {
    const phone = await Visitor.come(v.browser, { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true });
    await phone.signIn(v.server.url, 'ada', password);
    await phone.row('Expedition').tap();
    await phone.row('Route plan.pdf').waitFor();
    for (const colorScheme of ['light', 'dark'] as const) {
      const dark = colorScheme === 'dark' ? '-dark' : '';
      await phone.page.emulateMedia({ colorScheme });
      await v.picture(`phone-files${dark}`, phone);
    }
    await phone.row('Photos').tap();
    await phone.row('Camp One.jpg').waitFor();
    await phone.button('Show as tiles').tap();
    await drawn(phone);
    await v.picture('phone-tiles-dark', phone);
    await phone.page.emulateMedia({ colorScheme: 'light' });
    await v.picture('phone-tiles', phone);
    await phone.row('Midnight sun.jpg').tap();
    await viewer('Midnight sun.jpg', phone).getByText(/^\d+ %$/).waitFor();
    await v.picture('phone-preview', phone);
    await phone.page.goBack();
    await phone.button('Folders and views').tap();
    await phone.page.getByRole('link', { name: 'Trash' }).waitFor();
    await v.picture('phone-drawer', phone);
    expect(phone.errors).toEqual([]);
    await phone.context.close();
  });
});
