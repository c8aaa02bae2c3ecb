import { expect, test } from 'vitest';
import { entry } from '../state/fakes';
import { subtitlesOf, webVTT } from './subtitles';

test('subtitles lie beside their film, with or without a language', () => {
  const entries = ['Film.mp4', 'film.vtt', 'Film.de.srt', 'film.pt-BR.vtt', 'Film 2.vtt', 'film.txt', 'film.notes.extra.vtt', 'other.vtt'].map((name, i) => entry(i + 1, name, { size: 10 }));
  expect(subtitlesOf('Film.mp4', entries).map(({ entry: e, language }) => [e.name, language])).toEqual([['film.vtt', ''], ['Film.de.srt', 'de'], ['film.pt-BR.vtt', 'pt-br']]);
  expect(subtitlesOf('Film.mp4', [entry(9, 'film.vtt', { size: 50 << 20 })])).toEqual([]);
  expect(subtitlesOf('film', entries)).toEqual([]);
});

test('SubRip becomes WebVTT', () => {
  expect(webVTT('\uFEFF1\r\n00:00:01,500 --> 00:00:02,750\r\nHello, 3 o’clock\r\n\r\n2\r\n1:02:03,004 --> 1:02:05,000 X1:40\r\nBye\r\n')).toBe(
    'WEBVTT\n\n1\n00:00:01.500 --> 00:00:02.750\nHello, 3 o’clock\n\n2\n01:02:03.004 --> 01:02:05.000\nBye\n',
  );
  expect(webVTT('WEBVTT - a film\n\n00:01.000 --> 00:02.000\nHi')).toBe('WEBVTT - a film\n\n00:01.000 --> 00:02.000\nHi');
});
