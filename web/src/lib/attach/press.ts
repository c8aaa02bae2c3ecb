/**
 * A finger that rests on something. Browsers open a menu or begin a drag then,
 * and click when it is lifted: none of that is heard of.
 */
import type { Attachment } from 'svelte/attachments';

const after = 450; // ms; browsers themselves act after 500
const steady = 10; // px that a resting finger may move

/** Calls `on` with what the finger rests on; where that gives false, all goes on as ever. */
export function longPress(on: (target: HTMLElement) => boolean): Attachment<HTMLElement> {
  return (element) => {
    const end = new AbortController();
    const { signal } = end;
    let finger: { id: number; x: number; y: number; target: HTMLElement } | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let pressed = false;

    const lift = () => {
      clearTimeout(timer);
      finger = undefined;
    };
    const press = () => {
      clearTimeout(timer);
      if (finger && !pressed) pressed = on(finger.target);
    };
    element.addEventListener(
      'pointerdown',
      (e) => {
        lift();
        pressed = false;
        if (e.pointerType !== 'touch' || !e.isPrimary) return;
        finger = { id: e.pointerId, x: e.clientX, y: e.clientY, target: e.target as HTMLElement };
        timer = setTimeout(press, after);
      },
      { signal },
    );
    element.addEventListener(
      'pointermove',
      (e) => {
        if (e.pointerId === finger?.id && Math.hypot(e.clientX - finger.x, e.clientY - finger.y) > steady) lift();
      },
      { signal },
    );
    for (const type of ['pointerup', 'pointercancel'] as const) element.addEventListener(type, lift, { signal });
    const swallow = (e: Event) => {
      e.preventDefault();
      e.stopImmediatePropagation();
    };
    element.addEventListener(
      'contextmenu',
      (e) => {
        if (!finger && !pressed) return; // of a mouse, or of a key
        press();
        if (pressed) swallow(e);
      },
      { signal, capture: true },
    );
    element.addEventListener('dragstart', (e) => (finger || pressed) && swallow(e), { signal, capture: true });
    element.addEventListener(
      'click',
      (e) => {
        if (!pressed) return;
        pressed = false;
        swallow(e);
      },
      { signal, capture: true },
    );
    return () => {
      lift();
      end.abort();
    };
  };
}
