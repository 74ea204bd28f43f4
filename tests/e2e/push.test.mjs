// The page as an app: its worker, the shell without the hub, notifications as the worker shows them, and the settings
// page. The browser's own push service is not reached from here: messages are handed to the worker as it would.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { browser, Hub, watch } from "./hub.mjs";
import { clean, joins, pictures } from "./person.mjs";

let hub;
before(async () => {
  hub = await new Hub().start();
});
after(() => hub?.stop());

test("an app that waits for the hub, shows what the worker is sent, and lets a person rest", { timeout: 900000 }, async () => {
  hub.cli("device", "add", "front-door", "--product", "camera", "--out", join(hub.top, "front-door"));
  const context = await browser(hub, { width: 390, height: 844 });
  const bad = await watch(context);
  const page = await context.newPage();
  try {
    await context.grantPermissions(["notifications"], { origin: hub.origin });
    await joins(page, hub.cli("setup-link").url);

    // one policy, one constant
    const tried = await page.evaluate(async () => {
      const refused = (act) => { try { act(); return false; } catch { return true; } };
      await navigator.serviceWorker.ready;
      return {
        other: refused(() => globalThis.trustedTypes.createPolicy("another", { createScriptURL: (text) => text })),
        again: refused(() => globalThis.trustedTypes.createPolicy("porchlight-sw", { createScriptURL: (text) => text })),
        script: (await navigator.serviceWorker.getRegistration()).active.scriptURL,
      };
    });
    assert.deepEqual(tried, { other: true, again: true, script: `${hub.origin}/sw.js` });

    // what the page needs to be installed
    const manifest = await page.evaluate(async () => {
      const { icons, display } = await (await fetch("/manifest.webmanifest")).json();
      return { display, icons: await Promise.all(icons.map(async (icon) => (await fetch(icon.src)).ok)) };
    });
    assert.equal(manifest.display, "standalone");
    assert.ok(manifest.icons.length >= 3 && manifest.icons.every(Boolean));

    // snooze and quiet hours
    await page.getByRole("link", { name: "Notifications", exact: true }).click();
    await page.getByRole("heading", { name: "Notifications" }).waitFor();
    await page.locator("[data-push=off]").waitFor();
    await clean(page, "notifications");
    await page.getByRole("button", { name: "30 min: snooze front-door" }).click();
    await page.getByText(/front-door, quiet until/).waitFor();
    await page.getByRole("button", { name: "End the snooze of front-door" }).click();
    await page.getByRole("button", { name: "15 min: snooze front-door" }).waitFor();
    await page.getByLabel("From").fill("22:30");
    await page.getByLabel("Until").fill("06:45");
    await page.getByRole("button", { name: "Keep these hours" }).click();
    await page.getByText(/No push from 22:30 to 06:45/).waitFor();
    await page.setViewportSize({ width: 1280, height: 800 });
    await clean(page, "notifications-desk");
    await page.setViewportSize({ width: 390, height: 844 });

    // messages, as the push service would hand them over
    const devtools = await context.newCDPSession(page);
    const registered = new Promise((done) => devtools.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => registrations[0] && done(registrations[0].registrationId)));
    await devtools.send("ServiceWorker.enable");
    const registrationId = await registered;
    // A message that the browser's tools lose on the way is handed over again; one that is never shown is a failure, not a wait for ever.
    const look = () => page.evaluate(async () => {
      const registration = await navigator.serviceWorker.ready;
      for (let left = 500; left > 0; left--) {
        const all = await registration.getNotifications();
        if (all.length > 0) {
          const [one] = all;
          one.close();
          return { title: one.title, body: one.body, tag: one.tag, page: one.data.page };
        }
        await new Promise((done) => setTimeout(done, 20));
      }
      return null;
    });
    const shown = async (data) => {
      for (let tries = 3; tries > 0; tries--) {
        await devtools.send("ServiceWorker.deliverPushMessage", { origin: hub.origin, registrationId, data });
        const found = await look();
        if (found) return found;
      }
      throw new Error(`the worker showed nothing for ${data}`);
    };
    assert.deepEqual(
      await shown(JSON.stringify({ v: 1, kind: "person", device: "front-door", event: "e-1", at_ms: 1767225600000, at: "2026-01-01T01:02:00+01:00", page: "/events/e-1" })),
      { title: "Person at front-door", body: "01:02 · touch to see what happened", tag: "camera-front-door", page: "/events/e-1" });
    assert.deepEqual(
      await shown(JSON.stringify({ v: 1, kind: "security", what: "half", id: "a1", agent: "Firefox on Windows", address: "192.0.2.1", at_ms: 1767225600000, page: "/security" })),
      { title: "Your Porchlight password was used without a code", body: "Firefox on Windows, from 192.0.2.1 · was this you?", tag: "alert-a1", page: "/security" });
    assert.equal((await shown("not JSON")).title, "Porchlight", "something is shown for what cannot be read");

    // without the hub: the shell, a sentence, and on by itself
    await page.goto(`${hub.origin}/`);
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    await context.setOffline(true);
    await page.reload();
    await page.getByRole("heading", { name: "The hub cannot be reached" }).waitFor();
    await clean(page, "offline");
    await context.setOffline(false);
    await page.getByRole("heading", { name: "Nothing has happened yet" }).waitFor();
    const kept = await page.evaluate(async () => {
      const found = [];
      for (const name of await caches.keys()) for (const request of await (await caches.open(name)).keys()) found.push(new URL(request.url).pathname);
      return found;
    });
    assert.ok(kept.includes("/") && kept.every((path) => !path.startsWith("/api/")), `nothing of the API is kept: ${kept}`);
    const provoked = bad.filter((text) => text.startsWith("CSP trusted-types "));
    assert.equal(provoked.length, 2, "the two policies that the test itself tried to make");
    assert.deepEqual(bad.filter((text) => !/^CSP trusted-types |TrustedTypePolicy named '(another|porchlight-sw)'/.test(text)), [],
      "no other policy violation and no script error");
  } finally {
    await page.screenshot({ path: join(pictures, "last-push.png") }).catch(() => undefined);
    await context.close();
  }
});
