/** What a menu is made of. */
import type { IconName } from './icons';

export type Item = {
  label: string;
  /** Where another item may have the same label. */
  key?: number;
  icon?: IconName;
  act: () => void;
  keys?: string;
  danger?: boolean;
  disabled?: boolean;
  /** One of several choices, or something that is on or off: whether it is the case. */
  chosen?: boolean;
  /** Draws a line above. */
  apart?: boolean;
};
/** A point, or the element that the menu hangs from. */
export type Anchor = { x: number; y: number } | HTMLElement;
