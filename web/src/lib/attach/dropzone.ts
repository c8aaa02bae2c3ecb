/**
 * Files from the desktop dragged over an element and dropped on it. A folder in
 * it may take them itself: it prevents the default of the events, and has its
 * name in data-into.
 */
import type { Attachment } from 'svelte/attachments';
import { carriesFiles } from './carry';

/** Where files would go: 'here', into the folder of a name, or nowhere near. */
export type Aim = 'here' | { into: string } | undefined;

type On = {
  /** Files are dragged over the element, or (undefined) no longer. */
  over: (aim: Aim) => void;
  drop: (data: DataTransfer) => void;
  /** Whether it would take them. */
  takes: () => boolean;
};

export function dropzone(on: On): Attachment<HTMLElement> {
  return (element) => {
    const end = new AbortController();
    const { signal } = end;
    element.addEventListener(
      'dragover',
      (e) => {
        if (!carriesFiles(e.dataTransfer)) return;
        if (e.defaultPrevented) {
          on.over({ into: (e.target as Element).closest<HTMLElement>('[data-into]')?.dataset['into'] ?? '' });
          return;
        }
        e.preventDefault(); // without it the browser shows the file in place of the page
        e.dataTransfer!.dropEffect = on.takes() ? 'copy' : 'none';
        on.over('here');
      },
      { signal },
    );
    element.addEventListener(
      'dragleave',
      (e) => {
        if (!element.contains(e.relatedTarget as Node | null)) on.over(undefined);
      },
      { signal },
    );
    element.addEventListener(
      'drop',
      (e) => {
        on.over(undefined);
        if (!carriesFiles(e.dataTransfer) || e.defaultPrevented) return;
        e.preventDefault();
        if (on.takes()) on.drop(e.dataTransfer!);
      },
      { signal },
    );
    return () => end.abort();
  };
}
