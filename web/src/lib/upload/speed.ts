/** Speed over the last seconds, for "time left". */
export class Speed {
  private readonly marks: { at: number; bytes: number }[] = [];

  constructor(private readonly window = 8_000) {}

  /** Notes that `bytes` have been sent in all by now (milliseconds). */
  note(bytes: number, now: number): void {
    const last = this.marks.at(-1);
    if (last && bytes < last.bytes) this.marks.length = 0; // a part is sent again
    this.marks.push({ at: now, bytes });
    while (this.marks.length > 2 && now - this.marks[0]!.at > this.window) this.marks.shift();
  }

  /** Bytes a second; 0 while nothing is known. */
  get rate(): number {
    const first = this.marks[0];
    const last = this.marks.at(-1);
    if (!first || !last || last.at - first.at < 500) return 0;
    return ((last.bytes - first.bytes) / (last.at - first.at)) * 1000;
  }
}
