export type Toast = { key: number; kind: 'info' | 'error'; text: string };

/** Short messages in a corner; errors stay longer. */
export class Toasts {
  list = $state.raw<Toast[]>([]);
  private next = 1;

  info(text: string): void {
    this.add('info', text, 4_000);
  }

  error(text: string): void {
    this.add('error', text, 10_000);
  }

  close(key: number): void {
    this.list = this.list.filter((t) => t.key !== key);
  }

  private add(kind: Toast['kind'], text: string, stay: number): void {
    const key = this.next++;
    this.list = [...this.list.filter((t) => t.text !== text), { key, kind, text }].slice(-4);
    setTimeout(() => this.close(key), stay);
  }
}
