/** Addresses of scripts of our own, for the places where the page's policy takes no bare text. */

type Policy = { createScriptURL(url: string): string };
type Factory = { createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): Policy };

let policy: Policy | undefined;

/** The address of a script that the build has made; throws for one of another origin. */
export function ownScript(url: string): string {
  // What comes out is no text to the browser, but stands where one is wanted.
  policy ??= (globalThis as { trustedTypes?: Factory }).trustedTypes?.createPolicy('own-scripts', { createScriptURL: own }) ?? { createScriptURL: own };
  return policy.createScriptURL(url);
}

function own(url: string): string {
  const { origin, href } = new URL(url, location.href);
  if (origin !== location.origin) throw new TypeError('a script of another origin');
  return href;
}
