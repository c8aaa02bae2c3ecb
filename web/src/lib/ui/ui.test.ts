import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { ApiError } from '../api/client';
import type { Entry, Order, Sort } from '../api/types';
import { entry } from '../state/fakes';
import { Selection } from '../state/selection.svelte';
import { Upload } from '../upload/upload';
import ConflictDialog from './ConflictDialog.svelte';
import DeleteDialog from './DeleteDialog.svelte';
import EntryList from './EntryList.svelte';
import LinkBadge from './LinkBadge.svelte';
import MoveDialog from './MoveDialog.svelte';
import NameDialog from './NameDialog.svelte';
import UploadPanel from './UploadPanel.svelte';
import { mostRows, visibleRows } from './window';

beforeEach(() => {
  // What jsdom lacks.
  HTMLDialogElement.prototype.showModal = function () {
    this.open = true;
  };
  HTMLDialogElement.prototype.close = function () {
    this.open = false;
  };
  vi.stubGlobal('matchMedia', () => ({ matches: false, addEventListener: () => undefined, removeEventListener: () => undefined }));
  vi.stubGlobal('ResizeObserver', class {
    observe() {}
    unobserve() {}
    disconnect() {}
  });
});

describe('the list', () => {
  const entries = Array.from({ length: 10_000 }, (_, i) => entry(i + 1, `f${String(i).padStart(5, '0')}`, i === 0 ? { kind: 'folder', name: 'home' } : {}));

  function list() {
    const selection = new Selection(() => entries);
    const heard: string[] = [];
    render(EntryList, {
      rows: entries,
      selection,
      sort: 'name',
      order: 'asc',
      loading: false,
      href: () => '/files/home',
      onsort: (sort: Sort, order: Order) => heard.push(`sort ${sort} ${order}`),
      onsortmenu: () => undefined,
      onopen: (e: Entry) => heard.push(`open ${e.name}`),
      onmenu: (e: Entry) => heard.push(`menu ${e.name}`),
      onkey: (e: KeyboardEvent) => {
        if (e.key !== 'Shift' && e.key !== 'Control') heard.push(`key ${e.key}`);
      },
      ondropinto: () => undefined,
      onsee: () => undefined,
      onneed: async () => undefined,
    });
    return { selection, heard };
  }

  test('has few of many rows in the page, and tells how many there are', () => {
    list();
    const grid = screen.getByRole('grid');
    expect(grid.getAttribute('aria-rowcount')).toBe('10001');
    expect(within(grid).getAllByRole('row').length).toBeLessThan(60);
  });

  test('is worked by keyboard', { timeout: 20_000 }, async () => {
    const { selection, heard } = list();
    screen.getByRole('grid').focus();
    await userEvent.keyboard('{ArrowDown}{Shift>}{ArrowDown}{ArrowDown}{/Shift}');
    expect([...selection.ids]).toEqual([1, 2, 3]);
    await userEvent.keyboard(' {Home}{Enter}{F2}{Delete}{Shift>}{F10}{/Shift}');
    expect(heard).toEqual(['open home', 'key F2', 'key Delete', 'menu home']);
    await userEvent.keyboard('{Control>}a{/Control}');
    expect(selection.ids.size).toBe(10_000);
    await userEvent.keyboard('{Escape}');
    expect(selection.ids.size).toBe(0);
  });

  test('is worked by mouse', { timeout: 20_000 }, async () => {
    const { selection, heard } = list();
    const user = userEvent.setup();
    await user.click(screen.getByText('f00002'));
    await user.keyboard('{Shift>}');
    await user.click(screen.getByText('f00004'));
    await user.keyboard('{/Shift}{Control>}');
    await user.click(screen.getByText('f00003'));
    await user.keyboard('{/Control}');
    expect([...selection.ids]).toEqual([3, 5]);
    await user.click(screen.getByRole('checkbox', { name: 'Select f00007' }));
    expect([...selection.ids]).toEqual([3, 5, 8]);
    await user.click(screen.getByRole('link', { name: 'home' }));
    await user.dblClick(screen.getByText('f00002'));
    await user.click(screen.getByRole('button', { name: 'Actions for f00009' }));
    await user.click(screen.getByRole('button', { name: 'Size' }));
    await user.click(screen.getByRole('button', { name: 'Name' }));
    expect(heard).toEqual(['open home', 'open f00002', 'menu f00009', 'sort size asc', 'sort name desc']);
    expect(screen.getByRole('columnheader', { name: 'Name' }).getAttribute('aria-sort')).toBe('ascending');
  });

  test('the window covers what is in sight, at both ends', () => {
    expect(visibleRows(10_000, 46, 0, 600)).toEqual({ from: 0, to: 24 });
    expect(visibleRows(10_000, 46, 46_000, 600)).toEqual({ from: 990, to: 1024 });
    expect(visibleRows(3, 46, 46_000, 600)).toEqual({ from: 3, to: 3 });
    for (let top = 0; top < 2_000; top += 7) {
      const { from, to } = visibleRows(10_000, 46, top, 613);
      expect(to - from).toBeLessThanOrEqual(mostRows(46, 613));
    }
  });
});

describe('the panel of uploads', () => {
  const upload = (name: string, state: Upload['state'], size = 1_000) => {
    const u = Upload.of(new File([new Uint8Array(size)], name), '/', false);
    u.state = state;
    return u;
  };
  const acts = () => ({ oncancel: vi.fn(), onretry: vi.fn(), oncancelall: vi.fn(), onretryall: vi.fn(), onclear: vi.fn(), onpause: vi.fn(), onresume: vi.fn(), onsooner: vi.fn(), onfile: vi.fn(), onpauseall: vi.fn(), onresumeall: vi.fn() });

  test('shows how far each is, and cancels one', async () => {
    const cat = upload('cat.png', { at: 'sending' });
    cat.stored = 400;
    const on = acts();
    render(UploadPanel, { uploads: [cat, upload('dog.png', { at: 'queued' })], rate: 100, connected: true, services: 1, ...on });
    expect(screen.getByRole('progressbar', { name: 'Progress of cat.png' })).toHaveProperty('value', 400);
    expect(screen.getByText('Uploading 1 of 2 files')).toBeTruthy();
    expect(screen.getByText(/100 B\/s · 16 s left/)).toBeTruthy();
    await userEvent.click(screen.getByRole('button', { name: 'Cancel cat.png' }));
    expect(on.oncancel).toHaveBeenCalledWith(cat);
  });

  test('says what failed, and tries again', async () => {
    const cat = upload('cat.png', { at: 'failed', message: 'The name is too long.' });
    const on = acts();
    render(UploadPanel, { uploads: [cat, upload('dog.png', { at: 'done', name: 'dog (1).png' })], rate: 0, connected: true, services: 1, ...on });
    expect(screen.getByText('The name is too long.')).toBeTruthy();
    expect(screen.getByText('Stored as dog (1).png')).toBeTruthy();
    await userEvent.click(screen.getByRole('button', { name: 'Try cat.png again' }));
    expect(on.onretry).toHaveBeenCalledWith(cat);
    expect(screen.queryByRole('button', { name: 'Try dog.png again' })).toBeNull();
    await userEvent.click(screen.getByRole('button', { name: 'Clear uploads' }));
    expect(on.onclear).toHaveBeenCalled();
  });

  test('folds itself when all is well, and unfolds by hand', async () => {
    render(UploadPanel, { uploads: [upload('cat.png', { at: 'done', name: 'cat.png' })], rate: 0, connected: true, services: 1, ...acts() });
    expect(screen.queryByText('cat.png')).toBeNull();
    await userEvent.click(screen.getByRole('button', { name: 'Show uploads' }));
    expect(screen.getByText('cat.png')).toBeTruthy();
  });

  test('says what it waits for', () => {
    render(UploadPanel, { uploads: [upload('cat.png', { at: 'queued' })], rate: 0, connected: true, services: 0, ...acts() });
    expect(screen.getAllByText('Waiting for an upload service')).toHaveLength(2);
  });
});

describe('dialogs', () => {
  test('a name is checked before it is sent, and a refusal is shown', async () => {
    const onname = vi.fn().mockRejectedValueOnce(new ApiError('exists', 'the name is taken')).mockResolvedValue(undefined);
    const onclose = vi.fn();
    render(NameDialog, { title: 'Rename', label: 'Name', action: 'Rename', name: 'a.txt', select: 'stem', onname, onclose });
    const field = screen.getByRole<HTMLInputElement>('textbox', { name: 'Name' });
    await vi.waitFor(() => expect(document.activeElement).toBe(field));
    expect(field.value.slice(field.selectionStart!, field.selectionEnd!)).toBe('a');
    await userEvent.clear(field);
    await userEvent.type(field, 'b/c');
    expect(screen.getByRole('alert').textContent).toMatch(/“\/”/);
    expect(screen.getByRole('button', { name: 'Rename' })).toHaveProperty('disabled', true);
    await userEvent.clear(field);
    await userEvent.type(field, ' b.txt {Enter}');
    expect(onname).toHaveBeenCalledWith('b.txt');
    expect((await screen.findByRole('alert')).textContent).toBe('The name is taken.');
    expect(onclose).not.toHaveBeenCalled();
    await userEvent.type(field, '{Enter}');
    await vi.waitFor(() => expect(onclose).toHaveBeenCalledOnce());
  });

  test('deleting says all that goes', async () => {
    const folder = entry(1, 'home', { kind: 'folder' });
    const ondelete = vi.fn().mockResolvedValue(undefined);
    render(DeleteDialog, {
      entries: [folder, entry(2, 'a', { size: 1024 })],
      sizes: async () => ({ bytes: 1024, files: 2, folders: 3, types: {} }),
      kept: Promise.resolve(true),
      ondelete,
      onclose: () => undefined,
    });
    expect(await screen.findByText('4 folders and 3 files, 2.0 KiB')).toBeTruthy();
    expect(await screen.findByText(/will go to the trash/)).toBeTruthy();
    await userEvent.click(screen.getByRole('button', { name: 'Delete' }));
    expect(ondelete).toHaveBeenCalledOnce();
  });

  test('a conflict is answered with what is chosen', async () => {
    const onchoose = vi.fn();
    const choices = [
      { action: 'rename', label: 'Keep both', hint: '' },
      { action: 'skip', label: 'Skip', hint: '' },
    ];
    render(ConflictDialog, { title: 't', text: 'x', choices, more: true, onchoose, onclose: () => undefined });
    await userEvent.click(screen.getByRole('button', { name: 'Continue' }));
    await userEvent.click(screen.getByRole('radio', { name: 'Skip' }));
    await userEvent.click(screen.getByRole('checkbox', { name: 'Do this for all files' }));
    await userEvent.click(screen.getByRole('button', { name: 'Continue' }));
    expect(onchoose.mock.calls).toEqual([['rename', false], ['skip', true]]);
  });

  test('folders are browsed to move into, but not what is moved', async () => {
    const tree: Record<number, ReturnType<typeof entry>[]> = {
      0: [entry(1, 'a', { kind: 'folder' }), entry(2, 'b', { kind: 'folder' })],
      2: [entry(3, 'c', { kind: 'folder' })],
      3: [],
    };
    const onmove = vi.fn().mockResolvedValue(undefined);
    render(MoveDialog, {
      entries: [tree[0]![0]!],
      from: 0,
      start: [],
      folders: async (id: number) => ({ entries: tree[id]!, next: '' }),
      onmove,
      onclose: () => undefined,
    });
    expect(await screen.findByRole('button', { name: 'a' })).toHaveProperty('disabled', true);
    expect(screen.getByRole('button', { name: 'Move here' })).toHaveProperty('disabled', true);
    await userEvent.click(screen.getByRole('button', { name: 'b' }));
    await userEvent.click(await screen.findByRole('button', { name: 'c' }));
    expect(await screen.findByText('There are no folders in here.')).toBeTruthy();
    await userEvent.click(screen.getByRole('button', { name: 'b' }));
    await userEvent.click(screen.getByRole('button', { name: 'Move here' }));
    expect(onmove).toHaveBeenCalledWith({ id: 2, name: 'b' });
  });
});

test('the badge counts down to the next try, and hurries', async () => {
  const onhurry = vi.fn();
  const { rerender } = render(LinkBadge, { link: { at: 'waiting', until: Date.now() + 4_600 }, services: 0, onhurry });
  expect(screen.getByText('Reconnecting in 5 s')).toBeTruthy();
  await userEvent.click(screen.getByRole('button', { name: 'Try now' }));
  expect(onhurry).toHaveBeenCalled();
  await rerender({ link: { at: 'open' }, services: 3 });
  expect(screen.getByText('3 upload services')).toBeTruthy();
});
