import { beforeEach, expect, test, vi } from 'vitest';
import { postPart } from './post';

class FakeRequest {
  static last: FakeRequest;
  upload: { onprogress?: (e: { loaded: number }) => void } = {};
  onload?: () => void;
  onerror?: () => void;
  onabort?: () => void;
  onloadend?: () => void;
  status = 0;
  responseText = '';
  opened: unknown[] = [];
  form: FormData | undefined;

  constructor() {
    FakeRequest.last = this;
  }
  open(...how: unknown[]) {
    this.opened = how;
  }
  send(form: FormData) {
    this.form = form;
  }
  abort() {
    this.onabort?.();
    this.onloadend?.();
  }
  answer(status: number, text = '') {
    this.status = status;
    this.responseText = text;
    this.onload?.();
    this.onloadend?.();
  }
}

const part = { upload: 'u1', index: 3, body: new Blob(['12345']) };
let sent: number[];
let stop: AbortController;

function post() {
  sent = [];
  stop = new AbortController();
  return postPart('http://up.test/1', part, (n) => sent.push(n), stop.signal);
}

beforeEach(() => vi.stubGlobal('XMLHttpRequest', FakeRequest));

test('sends a form of id, chunk and file, in this order, to the address as it is', async () => {
  const done = post();
  const { last } = FakeRequest;
  expect(last.opened).toEqual(['POST', 'http://up.test/1']);
  expect([...last.form!.keys()]).toEqual(['id', 'chunk', 'file']);
  expect([last.form!.get('id'), last.form!.get('chunk'), (last.form!.get('file') as File).size]).toEqual(['u1', '3', 5]);
  last.upload.onprogress?.({ loaded: 2 });
  last.upload.onprogress?.({ loaded: 300 }); // the form's own bytes count for nothing
  last.answer(200, '3');
  await done;
  expect(sent).toEqual([2, 5, 5]);
});

test.each([
  [503, '{"error":"the store is away"}', { message: 'the store is away', again: true }],
  [502, '<html>', { message: 'the upload service answered 502', again: true }],
  [409, '{"error":"x"}', { message: 'the file has changed since the upload began', again: false }],
])('an answer of %d', async (status, text, error) => {
  const done = post();
  FakeRequest.last.answer(status, text);
  await expect(done).rejects.toMatchObject({ status, ...error });
});

test('a lost line may be tried again, a stopped post ends with the reason', async () => {
  let done = post();
  FakeRequest.last.onerror?.();
  await expect(done).rejects.toMatchObject({ status: 0, again: true });
  done = post();
  stop.abort(new Error('cancelled'));
  await expect(done).rejects.toThrow('cancelled');
  await expect(postPart('x', part, () => undefined, stop.signal)).rejects.toThrow('cancelled');
});
