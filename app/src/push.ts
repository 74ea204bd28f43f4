// This browser's push subscription: whether it can have one, has one, and how it gets or loses it.
import { api } from "./api";
import { worker } from "./worker";

export type PushState = "unsupported" | "untrusted" | "denied" | "off" | "other" | "on"; // other: for somebody else, or the page forgot for whom

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => {
  const raw = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  const bytes = new Uint8Array(new ArrayBuffer(raw.length));
  for (let at = 0; at < raw.length; at++) bytes[at] = raw.charCodeAt(at);
  return bytes;
};

async function tellHub(subscription: PushSubscription): Promise<string> {
  const { endpoint, keys } = subscription.toJSON();
  return (await api.subscribe(endpoint ?? "", keys?.p256dh ?? "", keys?.auth ?? "")).id;
}

// For whom this browser is told; kept here, because the browser itself does not know people.
const WHOM = "push-for";

export async function pushState(name: string): Promise<PushState> {
  if (!("serviceWorker" in navigator) || !("PushManager" in globalThis) || !("Notification" in globalThis)) return "unsupported";
  const registration = await worker;
  if (!registration) return "untrusted";
  if (Notification.permission === "denied") return "denied";
  if (!(await registration.pushManager.getSubscription())) return "off";
  return localStorage.getItem(WHOM) === name ? "on" : "other";
}

// After signing in: what was subscribed under an earlier sign-in of the same person goes on under this one. A browser
// that somebody else subscribed stays theirs until it is subscribed by hand.
export async function goOn(name: string): Promise<void> {
  if (localStorage.getItem(WHOM) === name) await known();
}

// Asks for permission, so it must follow a click. The id is the subscription's at the hub.
export async function subscribe(key: string, name: string): Promise<string> {
  const registration = await worker;
  if (!registration) throw new Error("This browser does not let the page receive push messages.");
  await navigator.serviceWorker.ready;
  if ((await Notification.requestPermission()) !== "granted") throw new Error("Notifications are not allowed in this browser's settings.");
  const id = await tellHub(await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytesOf(key) }));
  localStorage.setItem(WHOM, name);
  return id;
}

// The hub may have forgotten this browser: says again who it is, and gives the id. The hub takes it for a browser of whoever is signed in, so
// this is only for a subscription of their own.
export async function known(): Promise<string | null> {
  const subscription = await (await worker)?.pushManager.getSubscription();
  return subscription ? tellHub(subscription) : null;
}

export async function unsubscribe(): Promise<void> {
  const subscription = await (await worker)?.pushManager.getSubscription();
  localStorage.removeItem(WHOM);
  if (!subscription) return;
  // Both at once: the browser stops also when the hub cannot be reached, and the hub when the push service cannot.
  const ends = await Promise.allSettled([tellHub(subscription).then(api.unsubscribe), subscription.unsubscribe()]);
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}
