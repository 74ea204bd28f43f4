// The service worker, registered through the one Trusted Types policy that the page's content security policy names.
// It returns one constant, so no text of anybody's can ever become a script's address.
import { go } from "./route";

interface TrustedTypePolicy { createScriptURL(input: string): string }
interface TrustedTypePolicyFactory {
  createPolicy(name: string, rules: { createScriptURL: (input: string) => string }): TrustedTypePolicy;
}

const WORKER = "/sw.js";

function workerUrl(): string {
  const factory = (globalThis as { trustedTypes?: TrustedTypePolicyFactory }).trustedTypes;
  return factory ? factory.createPolicy("porchlight-sw", { createScriptURL: () => WORKER }).createScriptURL("") : WORKER;
}

// Resolves to null where browsers refuse workers: no support, or a certificate that this device does not trust.
export const worker: Promise<ServiceWorkerRegistration | null> =
  "serviceWorker" in navigator ? navigator.serviceWorker.register(workerUrl()).catch(() => null) : Promise.resolve(null);

// A touched notification while the page is open leads there without loading anew.
if ("serviceWorker" in navigator)
  navigator.serviceWorker.addEventListener("message", (message: MessageEvent<{ go?: string }>) => {
    if (message.data.go?.startsWith("/")) go(message.data.go);
  });
