/** Hands a file to who gave a link for it. XMLHttpRequest, because fetch tells no progress of a body. */
import { ApiError, type Client, type Code } from '../api/client';

export type Hand = (client: Client, file: File, progress: (sent: number) => void, signal: AbortSignal) => Promise<void>;

/** Rejects with ApiError, or with the signal's reason. Under which name the file lies then is not told. */
export const handOver: Hand = (client, file, progress, signal) =>
  new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const xhr = new XMLHttpRequest();
    const abort = () => xhr.abort();
    signal.addEventListener('abort', abort, { once: true });
    xhr.upload.onprogress = (e) => progress(Math.min(file.size, e.loaded));
    xhr.onerror = () => reject(new ApiError('offline', 'the server cannot be reached'));
    xhr.onabort = () => reject((signal.reason as Error | undefined) ?? new DOMException('aborted', 'AbortError'));
    xhr.onload = () => {
      const { error } = answerOf(xhr.responseText);
      if (xhr.status === 200) resolve();
      else reject(new ApiError(error?.code ?? 'internal', error?.message ?? `status ${xhr.status}`, xhr.status, Number(xhr.getResponseHeader('Retry-After') ?? 0) || 0));
    };
    xhr.onloadend = () => signal.removeEventListener('abort', abort);
    xhr.open('POST', client.url(`/api/link/files?${new URLSearchParams({ name: file.name })}`));
    xhr.setRequestHeader('Authorization', `Bearer ${client.token}`);
    xhr.setRequestHeader('Content-Type', file.type || 'application/octet-stream');
    xhr.send(file);
  });

type Answer = { error?: { code: Code; message: string } };

function answerOf(text: string): Answer {
  try {
    return JSON.parse(text) as Answer;
  } catch {
    return {};
  }
}
