/** Colours of code: a tree of spans, never HTML. Loaded when code is shown. */
import { createLowlight } from 'lowlight';
import bash from 'highlight.js/lib/languages/bash';
import c from 'highlight.js/lib/languages/c';
import cpp from 'highlight.js/lib/languages/cpp';
import css from 'highlight.js/lib/languages/css';
import diff from 'highlight.js/lib/languages/diff';
import go from 'highlight.js/lib/languages/go';
import ini from 'highlight.js/lib/languages/ini';
import java from 'highlight.js/lib/languages/java';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import php from 'highlight.js/lib/languages/php';
import python from 'highlight.js/lib/languages/python';
import ruby from 'highlight.js/lib/languages/ruby';
import rust from 'highlight.js/lib/languages/rust';
import sql from 'highlight.js/lib/languages/sql';
import typescript from 'highlight.js/lib/languages/typescript';
import xml from 'highlight.js/lib/languages/xml';
import yaml from 'highlight.js/lib/languages/yaml';

const lowlight = createLowlight({ bash, c, cpp, css, diff, go, ini, java, javascript, json, php, python, ruby, rust, sql, typescript, xml, yaml });

type Node = { type: string; value?: string; properties?: { className?: unknown }; children?: Node[] };

/** What is longer is shown without colours: finding them takes long. */
const longest = 200_000;

/** Code as text with elements for its colours; of an unknown language as plain text. */
export function coloured(code: string, language: string): DocumentFragment {
  const fragment = document.createDocumentFragment();
  if (code.length > longest || !lowlight.registered(language)) fragment.append(code);
  else grow(fragment, lowlight.highlight(language, code).children as Node[]);
  return fragment;
}

function grow(into: ParentNode, nodes: readonly Node[]): void {
  for (const node of nodes) {
    if (node.type === 'text') into.append(node.value ?? '');
    else if (node.type === 'element') {
      const span = document.createElement('span');
      const { className } = node.properties ?? {};
      if (Array.isArray(className)) span.className = className.join(' ');
      grow(span, node.children ?? []);
      into.append(span);
    }
  }
}
