/** Files from the desktop dragged over an element and dropped on it. */
import type { Attachment } from 'svelte/attachments';

export function dropzone(on: { over: (files: boolean) => void; drop: (data: DataTransfer) => void }): Attachment<HTMLElement> {
  return (element) => {
    const end = new AbortController();
    const { signal } = end;
    const hasFiles = (e: DragEvent) => e.dataTransfer?.types.includes('Files') ?? false;
    element.addEventListener('dragenter', (e) => on.over(hasFiles(e)), { signal });
    element.addEventListener(
      'dragover',
      (e) => {
        if (!hasFiles(e)) return;
        e.preventDefault(); // without it the browser shows the file in place of the page
        e.dataTransfer!.dropEffect = 'copy';
      },
      { signal },
    );
    element.addEventListener(
      'dragleave',
      (e) => {
        if (!element.contains(e.relatedTarget as Node | null)) on.over(false);
      },
      { signal },
    );
    element.addEventListener(
      'drop',
      (e) => {
        on.over(false);
        if (!hasFiles(e)) return;
        e.preventDefault();
        on.drop(e.dataTransfer!);
      },
      { signal },
    );
    return () => end.abort();
  };
}
