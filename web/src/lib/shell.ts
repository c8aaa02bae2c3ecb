/** The page as an app: its shell kept by a service worker, new builds taken when the person says so. */
import { ownScript } from './scripts';

/** Keeps the shell where the browser can, and calls back once a newer build waits to be taken. */
export async function keepShell(newer: (take: () => void) => void): Promise<void> {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  const { serviceWorker } = navigator;
  const registration = await serviceWorker.register(ownScript('/sw.js'), { scope: '/', updateViaCache: 'none' });
  const offer = () => {
    const { waiting } = registration;
    if (!waiting || !serviceWorker.controller) return; // the first one takes over by itself
    newer(() => {
      serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
      waiting.postMessage('take over');
    });
  };
  offer();
  registration.addEventListener('updatefound', () => {
    const { installing } = registration;
    installing?.addEventListener('statechange', () => {
      if (installing.state === 'installed') offer();
    });
  });
  document.addEventListener('visibilitychange', () => {
    // A page that stays open for days hears of a new build when it is looked at again.
    if (document.visibilityState === 'visible') void registration.update().catch(() => undefined);
  });
}
