/** Sends one part to an upload service. XMLHttpRequest, because fetch tells no progress of a body. */

export class PostError extends Error {
  constructor(
    message: string,
    readonly status: number,
    /** Whether the same part may be sent again. */
    readonly again: boolean,
  ) {
    super(message);
    this.name = 'PostError';
  }
}

export type Post = (
  address: string,
  part: { upload: string; index: number; body: Blob },
  progress: (sent: number) => void,
  signal: AbortSignal,
) => Promise<void>;

/** Resolves when the part is stored; rejects with PostError, or with the signal's reason. */
export const postPart: Post = (address, part, progress, signal) =>
  new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const form = new FormData();
    form.append('id', part.upload);
    form.append('chunk', String(part.index));
    form.append('file', part.body);
    const xhr = new XMLHttpRequest();
    const abort = () => xhr.abort();
    signal.addEventListener('abort', abort, { once: true });
    xhr.upload.onprogress = (e) => progress(Math.min(part.body.size, e.loaded));
    xhr.onerror = () => reject(new PostError('the upload service cannot be reached', 0, true));
    xhr.onabort = () => reject((signal.reason as Error | undefined) ?? new DOMException('aborted', 'AbortError'));
    xhr.onload = () => {
      if (xhr.status === 200) {
        progress(part.body.size);
        resolve();
        return;
      }
      // 409: other bytes were stored at this place; the file has changed under us.
      reject(new PostError(reason(xhr), xhr.status, xhr.status !== 409));
    };
    xhr.onloadend = () => signal.removeEventListener('abort', abort);
    xhr.open('POST', address);
    xhr.send(form);
  });

function reason(xhr: XMLHttpRequest): string {
  if (xhr.status === 409) return 'the file has changed since the upload began';
  try {
    const { error } = JSON.parse(xhr.responseText) as { error?: unknown };
    if (typeof error === 'string' && error !== '') return error;
  } catch {
    // not JSON: the status has to do
  }
  return `the upload service answered ${xhr.status}`;
}
