export type Toast = {
  key: number;
  kind: 'info' | 'error';
  text: string;
  /** Something that can be done about it. */
  action?: { label: string; act: () => void };
};

/** Short messages in a corner; errors, and those with something to do, stay longer. */
export class Toasts {
  list = $state.raw<Toast[]>([]);
  private next = 1;

  info(text: string, action?: Toast['action']): void {
    this.add({ kind: 'info', text, ...(action && { action }) }, action ? 8_000 : 4_000);
  }

  error(text: string, action?: Toast['action']): void {
    this.add({ kind: 'error', text, ...(action && { action }) }, 10_000);
  }

  close(key: number): void {
    this.list = this.list.filter((t) => t.key !== key);
  }

  private add(toast: Omit<Toast, 'key'>, stay: number): void {
    const key = this.next++;
    this.list = [...this.list.filter((t) => t.text !== toast.text), { key, ...toast }].slice(-4);
    setTimeout(() => this.close(key), stay);
  }
}
