/** What axe finds that keeps people from using a page. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Visitor } from './visitor';

type Finding = { id: string; impact: string; nodes: { target: string[]; failureSummary: string }[] };

const axe = readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe says about the page as it is now: all that it knows, or only about contrast. */
export async function findings(v: Visitor, rules: 'all' | 'contrast' = 'all'): Promise<string[]> {
  // What moves in is half transparent on its way.
  await v.page.evaluate(async () => {
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame); // another theme begins with the next one
    await Promise.all(document.getAnimations().map((a) => a.finished.catch(() => undefined)));
  });
  // By the debugger: the page's own policy lets nobody evaluate text.
  const devtools = await v.context.newCDPSession(v.page);
  const run = async (expression: string) => {
    const { result, exceptionDetails } = await devtools.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value as unknown;
  };
  if (!(await run('typeof axe === "object"'))) await run(`${await axe}; undefined`);
  const options = { resultTypes: ['violations'], ...(rules === 'contrast' && { runOnly: ['color-contrast'] }) };
  const found = JSON.parse((await run(`axe.run(${JSON.stringify(options)}).then((r) => JSON.stringify(r.violations))`)) as string) as Finding[];
  await devtools.detach();
  return found.filter((f) => f.impact === 'serious' || f.impact === 'critical').flatMap((f) => f.nodes.map((n) => `${f.id}: ${n.target.join(' ')}: ${n.failureSummary}`));
}
