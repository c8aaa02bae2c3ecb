/** What an expedition brings home: files that look well in pictures of the page. */
import type { Browser } from 'playwright-core';

/** Landscapes drawn by the browser itself, as JPEG, each with its own light. */
export async function landscapes(browser: Browser, names: readonly string[]): Promise<Record<string, Buffer>> {
  const page = await browser.newPage();
  const drawn = await page.evaluate(async (names) => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [1200, 800];
    const pen = canvas.getContext('2d')!;
    const all: [string, string][] = [];
    for (const [n, name] of names.entries()) {
      const hue = [215, 262, 196, 18, 236, 345, 32, 284][n % 8]!;
      const sky = pen.createLinearGradient(0, 0, 0, 560);
      sky.addColorStop(0, `hsl(${hue} 55% ${34 + (n % 3) * 10}%)`);
      sky.addColorStop(0.6, `hsl(${(hue + 25) % 360} 70% 72%)`);
      sky.addColorStop(1, `hsl(${(hue + 60) % 360} 85% 86%)`);
      pen.fillStyle = sky;
      pen.fillRect(0, 0, 1200, 800);
      const sun = { x: 240 + ((n * 293) % 760), y: 330 - ((n * 71) % 140) };
      const glow = pen.createRadialGradient(sun.x, sun.y, 30, sun.x, sun.y, 260);
      glow.addColorStop(0, 'rgb(255 250 230 / 0.95)');
      glow.addColorStop(0.2, 'rgb(255 240 205 / 0.5)');
      glow.addColorStop(1, 'rgb(255 240 205 / 0)');
      pen.fillStyle = glow;
      pen.fillRect(0, 0, 1200, 800);
      for (let ridge = 0; ridge < 4; ridge++) {
        const base = 430 + ridge * 85;
        pen.fillStyle = `hsl(${(hue + 12 * ridge) % 360} ${24 + ridge * 6}% ${58 - ridge * 13}%)`;
        pen.beginPath();
        pen.moveTo(0, 800);
        for (let x = 0; x <= 1200; x += 4) {
          const at = x / (230 - ridge * 30) + n * 3.1 + ridge * 7;
          pen.lineTo(x, base - 55 * Math.sin(at) - 24 * Math.sin(at * 2.7 + 1) - 9 * Math.sin(at * 6.3) - 3 * Math.sin(at * 17));
        }
        pen.lineTo(1200, 800);
        pen.fill();
      }
      const blob = await new Promise<Blob>((done) => canvas.toBlob((b) => done(b!), 'image/jpeg', 0.9));
      let text = '';
      for (const b of new Uint8Array(await blob.arrayBuffer())) text += String.fromCharCode(b);
      all.push([name, btoa(text)]);
    }
    return all;
  }, names);
  await page.close();
  return Object.fromEntries(drawn.map(([name, base64]) => [name, Buffer.from(base64, 'base64')]));
}

export const notes = `# Field notes

The glacier **groaned** all night. By six the fog had gone, and we could see the whole of the north face.

## To do

- [x] tents dried and packed
- [x] batteries for the weather station
- [ ] ice screws, two are bent

| Camp | Height | Nights |
| --- | --- | --- |
| One | 1,200 m | 3 |
| Two | 1,950 m | 2 |
| Ridge | 2,610 m | 1 |

> Whoever comes here in winter, bring a second stove.
`;

export const weather = `day;station;temperature;"wind, m/s";rain
${Array.from({ length: 40 }, (_, i) => `2026-06-${String(1 + (i % 30)).padStart(2, '0')};${['Nord', 'Ridge', 'Camp One'][i % 3]};${(4 + 7 * Math.sin(i / 3)).toFixed(1)};${(3 + (i % 9)).toFixed(1)};${i % 4 === 0 ? (i % 7).toFixed(1) : '0.0'}`).join('\n')}
`;

export const program = `"""Turns the track of a receiver into GeoJSON."""
import csv
import json
import sys


def points(lines):
    for row in csv.DictReader(lines):
        yield [float(row["lon"]), float(row["lat"]), float(row["height"])]


def main():
    track = {"type": "LineString", "coordinates": list(points(sys.stdin))}
    json.dump({"type": "Feature", "geometry": track, "properties": {"name": "Route"}}, sys.stdout)


if __name__ == "__main__":
    main()
`;
