// The service worker: shows push messages while no page is open, opens the event when one is touched, and keeps
// the shell of the app for when the hub cannot be reached. It never stores anything that the API answers.
const SHELL = "shell-v1";

const assetsOf = (html) => [...new Set([...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map((found) => found[1]))];

// Keeps the page and what it links; files of older builds go.
async function keepShell(response) {
  const cache = await caches.open(SHELL);
  const html = await response.clone().text();
  const wanted = assetsOf(html);
  const kept = new Set((await cache.keys()).map((request) => new URL(request.url).pathname));
  await cache.addAll(wanted.filter((path) => !path.startsWith("/assets/") || !kept.has(path)));
  await cache.put("/", response);
  for (const path of kept) if (path.startsWith("/assets/") && !wanted.includes(path)) await cache.delete(path);
}

self.addEventListener("install", (event) => {
  event.waitUntil(fetch("/", { headers: { Accept: "text/html" }, cache: "no-cache" }).then(keepShell).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(caches.keys()
    .then((names) => Promise.all(names.filter((name) => name !== SHELL).map((name) => caches.delete(name))))
    .then(() => self.clients.claim()));
});

async function page(request) {
  try {
    const response = await fetch(request);
    if (response.ok && (response.headers.get("Content-Type") ?? "").startsWith("text/html")) {
      await keepShell(response.clone()).catch(() => undefined);
    }
    return response;
  } catch (unreachable) {
    const shell = await caches.match("/", { cacheName: SHELL });
    if (shell) return shell;
    throw unreachable;
  }
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin || url.pathname.startsWith("/api/")) return;
  if (request.mode === "navigate") event.respondWith(page(request));
  else if (url.pathname.startsWith("/assets/"))
    event.respondWith(caches.match(request, { cacheName: SHELL }).then((kept) => kept ?? fetch(request)));
});

const SECURITY = {
  "sign-in": "New sign-in to Porchlight",
  half: "Your Porchlight password was used without a code",
  password: "Your Porchlight password was changed",
  "recovery-codes": "New Porchlight recovery codes were made",
};

// What, where, when; a message that cannot be read still shows something, as browsers demand.
function wordsOf(message) {
  if (message.kind === "person")
    return {
      title: `Person at ${message.device}`,
      options: {
        body: `${String(message.at).slice(11, 16)} · touch to see what happened`, tag: `camera-${message.device}`, renotify: true,
        timestamp: message.at_ms, image: message.picture, data: { page: message.page },
      },
    };
  if (message.kind === "security")
    return {
      title: SECURITY[message.what] ?? "Something happened to your account",
      options: { body: `${message.agent}, from ${message.address} · was this you?`, tag: `alert-${message.id}`, timestamp: message.at_ms, data: { page: "/security" } },
    };
  if (message.kind === "test")
    return { title: "Test message", options: { body: "Push messages reach this browser.", tag: "test", data: { page: "/notifications" } } };
  return { title: "Porchlight", options: { body: "Something happened at home. Open the timeline.", tag: "unknown", data: { page: "/" } } };
}

self.addEventListener("push", (event) => {
  let message = {};
  try { message = event.data.json(); } catch { /* shown without details */ }
  const { title, options } = wordsOf(message);
  event.waitUntil(self.registration.showNotification(title, { icon: "/icon-192.png", badge: "/icon-192.png", ...options }));
});

const isPage = (path) => typeof path === "string" && /^\/(notifications|security|events\/[a-z0-9-]{1,64})?$/.test(path);

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const wanted = event.notification.data?.page;
  const path = isPage(wanted) ? wanted : "/";
  event.waitUntil((async () => {
    const [open] = await self.clients.matchAll({ type: "window" });
    if (!open) return self.clients.openWindow(path);
    await open.focus();
    open.postMessage({ go: path });
  })());
});

// The push service gave this browser another address: tell the hub, under the cookie that is still there. Somebody else may be signed in: with
// the former address the hub sees whose browser it is, and leaves it alone then; its person's page tells of the new one.
self.addEventListener("pushsubscriptionchange", (event) => {
  event.waitUntil((async () => {
    const former = event.oldSubscription;
    if (!former?.options) return;
    const { endpoint, keys } = (await self.registration.pushManager.subscribe(former.options)).toJSON();
    await fetch("/api/v1/push/subscriptions", {
      method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ endpoint, was: former.endpoint, p256dh: keys.p256dh, auth: keys.auth }),
    });
  })());
});
