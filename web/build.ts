/** What the build makes besides Vite's own output. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';

const parts = 'node_modules/pdfjs-dist';
const { version: pdfVersion } = JSON.parse(readFileSync(join(parts, 'package.json'), 'utf8')) as { version: string };

/** Puts what pdf.js fetches for some documents beside it: fonts, character maps, a decoder. */
export function pdfParts(): Plugin {
  return {
    name: 'pdf-parts',
    apply: 'build',
    generateBundle() {
      const add = (folder: string, wanted: RegExp) => {
        for (const name of readdirSync(join(parts, folder))) {
          if (wanted.test(name)) this.emitFile({ type: 'asset', fileName: `assets/pdf-${pdfVersion}/${name}`, source: readFileSync(join(parts, folder, name)) });
        }
      };
      add('cmaps', /\.bcmap$/);
      add('standard_fonts', /\.(?:ttf|pfb)$/);
      add('wasm', /^openjpeg_nowasm_fallback\.js$/);
    },
  };
}

/** Makes sw.js of src/sw.js, with the names of what this build has in its shell. */
export function shellWorker(): Plugin {
  return {
    name: 'shell-worker',
    apply: 'build',
    enforce: 'post',
    generateBundle(_, bundle) {
      const shell = Object.keys(bundle)
        .filter((name) => /^assets\/[^/]+\.(?:js|css)$/.test(name) && !/worker/i.test(name))
        .sort();
      const version = createHash('sha256').update(shell.join()).update(readFileSync('index.html')).digest('hex').slice(0, 16);
      const source = readFileSync('src/sw.js', 'utf8').replace('__VERSION__', version).replace("'__SHELL__'", shell.map((name) => `'/${name}'`).join(', '));
      this.emitFile({ type: 'asset', fileName: 'sw.js', source });
    },
  };
}

/** Puts a gzip form beside each script and style, for the server to send. */
export function compressed(): Plugin {
  let out = 'dist';
  return {
    name: 'compressed',
    apply: 'build',
    configResolved(config) {
      out = config.build.outDir;
    },
    closeBundle() {
      const assets = join(out, 'assets');
      for (const name of readdirSync(assets, { recursive: true, encoding: 'utf8' })) {
        if (!/\.(?:js|mjs|css)$/.test(name)) continue;
        const plain = readFileSync(join(assets, name));
        if (plain.length > 1_000) writeFileSync(join(assets, `${name}.gz`), gzipSync(plain, { level: 9 }));
      }
    },
  };
}
