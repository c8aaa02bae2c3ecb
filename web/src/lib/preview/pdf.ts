/**
 * PDF as pictures of its pages, by pdf.js in a worker of our own. Nothing in a
 * document runs: no script of it is evaluated, and no form or link is made.
 */
import { getDocument, PasswordResponses, PDFWorker, TextLayer, version, type PDFDocumentProxy, type PDFPageProxy } from 'pdfjs-dist';
import workerURL from 'pdfjs-dist/build/pdf.worker.min.mjs?url';
import { ownScript } from '../scripts';

export type { PDFDocumentProxy, PDFPageProxy };

/** Asks a person for the password; wrong tells that the one before was. Rejects if they would rather not. */
export type AskPassword = (wrong: boolean) => Promise<string>;

/** Larger pictures in a document are left out, pages are drawn with fewer pixels. */
const mostImagePixels = 1 << 26;
const mostPagePixels = 1 << 24;

export type Opened = { document: PDFDocumentProxy; close: () => void };

/** Opens the document at an address that answers ranges. Close it when it is not shown any more; the signal does that too while it is being opened. */
export async function openPdf(url: string, ask: AskPassword, progress: (part: number) => void, signal: AbortSignal): Promise<Opened> {
  signal.throwIfAborted();
  const port = new Worker(ownScript(workerURL), { type: 'module' });
  const worker = PDFWorker.create({ port });
  const assets = new URL(`${import.meta.env.BASE_URL}assets/pdf-${version}/`, location.href).href;
  const task = getDocument({
    url,
    worker,
    isEvalSupported: false,
    enableXfa: false,
    useWasm: false, // the page's policy allows none
    wasmUrl: assets,
    cMapUrl: assets,
    cMapPacked: true,
    standardFontDataUrl: assets,
    useWorkerFetch: true,
    maxImageSize: mostImagePixels,
    rangeChunkSize: 1 << 18,
    disableAutoFetch: true, // what is not looked at is not fetched
    disableStream: true,
    verbosity: 0,
  });
  const close = () => {
    void task.destroy().finally(() => port.terminate());
  };
  signal.addEventListener('abort', close, { once: true });
  task.onProgress = ({ loaded, total }: { loaded: number; total: number }) => progress(total > 0 ? Math.min(1, loaded / total) : 0);
  task.onPassword = (update: (password: string | Error) => void, reason: number) => {
    ask(reason === PasswordResponses.INCORRECT_PASSWORD).then(update, (e: unknown) => update(e instanceof Error ? e : new Error('no password')));
  };
  try {
    const document = await task.promise;
    signal.removeEventListener('abort', close);
    if (signal.aborted) throw signal.reason;
    return { document, close };
  } catch (e) {
    signal.removeEventListener('abort', close);
    close();
    throw e;
  }
}

/** Draws a page, this many CSS pixels wide, into an element; gives what stops that and takes it out again. */
export function drawPage(page: PDFPageProxy, into: HTMLElement, width: number, failed: (e: unknown) => void): () => void {
  const plain = page.getViewport({ scale: 1 });
  const scale = width / plain.width;
  const viewport = page.getViewport({ scale });
  const wished = viewport.width * viewport.height * devicePixelRatio ** 2;
  const sharpness = devicePixelRatio * Math.min(1, Math.sqrt(mostPagePixels / wished));
  const canvas = document.createElement('canvas');
  canvas.width = Math.floor(viewport.width * sharpness);
  canvas.height = Math.floor(viewport.height * sharpness);
  canvas.setAttribute('aria-hidden', 'true'); // the text is beside it
  const words = document.createElement('div');
  words.className = 'words';
  into.style.setProperty('--total-scale-factor', String(scale));
  into.replaceChildren(canvas, words);
  const drawing = page.render({ canvas, viewport, transform: [sharpness, 0, 0, sharpness, 0, 0] });
  const text = new TextLayer({ textContentSource: page.streamTextContent(), container: words, viewport });
  let over = false;
  const tell = (e: unknown) => {
    if (!over) failed(e);
  };
  drawing.promise.catch(tell);
  text.render().catch(tell);
  return () => {
    over = true;
    drawing.cancel();
    text.cancel();
    canvas.width = 0; // gives its memory back at once
    into.replaceChildren();
  };
}
