/** Keys that work wherever the focus is, as long as nothing else wants them. */
import type { Attachment } from 'svelte/attachments';

export function shortcuts(on: (e: KeyboardEvent) => void): Attachment<HTMLElement> {
  return () => {
    const listen = (e: KeyboardEvent) => {
      const at = e.target as HTMLElement;
      if (e.defaultPrevented || document.querySelector('dialog[open], [popover=auto]:popover-open')) return;
      if (at.closest('input, textarea, select, [role=grid]')) return;
      on(e);
    };
    document.addEventListener('keydown', listen);
    return () => document.removeEventListener('keydown', listen);
  };
}
