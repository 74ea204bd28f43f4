// The page when the hub answers late, out of turn or not at all: it shows and does only what the person looks at. Hub and sign-in are real;
// the answers that matter are held back, and the live stream is spoken by the test.
import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { browser, Hub, watch } from "./hub.mjs";
import { clean, codeAt, joins, PASSWORD, pictures } from "./person.mjs";

const desk = { width: 1280, height: 800 }, phone = { width: 390, height: 844 };
let hub, context, page, bad, account, answers = 0;

// A live stream without the hub: it is open at once, and says what the test lets it say.
function fakeStream() {
  class Stream extends EventTarget {
    static CLOSED = 2;
    readyState = 0;
    constructor() {
      super();
      globalThis.stream = this;
      setTimeout(() => this.comes());
    }
    comes() {
      this.readyState = 1;
      this.onopen?.();
    }
    breaks(readyState = 0) {
      this.readyState = readyState;
      this.onerror?.();
    }
    says(kind, data) {
      this.dispatchEvent(new MessageEvent(kind, { data: JSON.stringify(data) }));
    }
    close() {
      this.readyState = Stream.CLOSED;
    }
  }
  globalThis.EventSource = Stream;
}

const says = (kind, data) => page.evaluate(([name, news]) => globalThis.stream.says(name, news), [kind, data]);
const live = () => page.getByText("Live", { exact: true }).waitFor();

// Tells the test of every question to the hub before it leaves, and takes the test's answer where it has one. In the page itself: a
// question that the service worker has let through does not always come to the browser driver's own routes.
function askFirst() {
  const real = globalThis.fetch.bind(globalThis);
  globalThis.heard = new Set(); // which of the test's answers the page has read and drawn
  globalThis.fetch = async (...question) => {
    const [path, { method = "GET", body = null } = {}] = question;
    const answer = await globalThis.asked({ path, method, body });
    if (answer === null) return real(...question);
    if (answer.lost) throw new TypeError("Failed to fetch");
    const response = new Response(JSON.stringify(answer.json), { status: answer.status, headers: { "Content-Type": "application/json" } });
    response.json = async () => {
      setTimeout(() => globalThis.heard.add(answer.id));
      return answer.json;
    };
    return response;
  };
}

let held = []; // what is kept from the hub in this test
async function asked({ frame }, { path, method, body }) {
  const one = held.find((each) => each.pattern.test(path));
  if (!one || frame.page() !== page) return null;
  return new Promise((done) => one.comes({
    method, body, url: new URL(path, hub.origin).href,
    answer: async (json, status = 200) => {
      const id = ++answers;
      done({ id, json, status });
      await page.waitForFunction((wanted) => globalThis.heard.has(wanted), id);
    },
    lose: () => done({ lost: true }),
  }));
}

// Takes what is asked of an address out of the hub's hands: each question waits in the list until it is answered.
function hold(pattern) {
  const asked = [], waiting = [];
  const comes = (one) => {
    const next = waiting.shift();
    if (next) next(one);
    else asked.push(one);
  };
  held.push({ pattern, comes });
  const next = () => new Promise((done, fail) => {
    if (asked.length > 0) { done(asked.shift()); return; }
    const missed = new Error(`nothing was asked of ${pattern} in half a minute`); // made here, so that it names who waits
    const late = setTimeout(() => fail(missed), 30000);
    waiting.push((one) => { clearTimeout(late); done(one); });
  });
  return { next, asked };
}

async function both(name) {
  await clean(page, name);
  await page.setViewportSize(desk);
  await clean(page, `${name}-desk`);
  await page.setViewportSize(phone);
}

const event = (id, device) => ({
  id, device, product: "camera", kind: "motion", at_ms: 1767225600000, received_at_ms: 1767225600000, score: 0.5, box: [0.1, 0.1, 0.2, 0.2],
  thumbnail: null, clip: null, person: null,
});
const person = (id, device) => ({
  notification: { id: `n-${id}`, device, at_ms: 1767225600000, picture: null, why: "seen" },
  event: { ...event(id, device), person: { score: 0.9, box: [0.1, 0.1, 0.2, 0.2], at_ms: 1767225600000, picture: "", held_back: false, feedback: null } },
});

before(async () => {
  hub = new Hub();
  await hub.start((conf) => appendFileSync(conf, "people.step_up_s = 2\n"));
  context = await browser(hub, phone);
  context.setDefaultTimeout(30000);
  bad = await watch(context);
  await context.addInitScript(fakeStream);
  await context.addInitScript(askFirst);
  await context.exposeBinding("asked", asked);
  page = await context.newPage();
  account = await joins(page, hub.cli("setup-link").url);
});
beforeEach(() => { held = []; });
after(async () => {
  await page?.screenshot({ path: join(pictures, "last-late.png") }).catch(() => undefined);
  await context?.close();
  await hub?.stop();
});

test("an event's page acts on the event that it shows", { timeout: 120000 }, async () => {
  await page.goto(`${hub.origin}/events/first`);
  await live();
  const events = hold(/\/api\/v1\/events\/[^/]+$/);
  await page.reload();
  await live();
  await (await events.next()).answer(event("first", "front-door"));
  await page.getByRole("heading", { name: "Motion at front-door" }).waitFor();

  // about to delete it, a person is seen elsewhere, and "Watch" is touched while the first is being loaded once more
  await says("clip", { event: "first" });
  const slow = await events.next();
  await page.getByRole("button", { name: "Delete this event" }).click();
  await page.getByRole("button", { name: "Delete for good" }).waitFor();
  await says("person", person("second", "garden"));
  await page.getByRole("link", { name: "Watch" }).click();
  const wanted = await events.next();
  assert.match(wanted.url, /\/second$/);
  assert.equal(await page.getByRole("heading", { name: /front-door/ }).count(), 0, "nothing of the first beside the address of the second");
  await wanted.answer(event("second", "garden"));
  await page.getByRole("heading", { name: "Motion at garden" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Delete for good" }).count(), 0, "nobody asked for the second to be deleted");

  // the first one's answer, and its end, are no news here
  await slow.answer(event("first", "front-door"));
  await says("deleted", { event: "first", clip: "", device: "front-door" });
  assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), "Motion at garden");

  // nor does a deletion that was slow lead away from what is looked at
  await page.getByRole("button", { name: "Delete this event" }).click();
  await page.getByRole("button", { name: "Delete for good" }).click();
  const deletion = await events.next();
  assert.equal(deletion.method, "DELETE");
  await page.goBack();
  await (await events.next()).answer(event("first", "front-door"));
  await page.getByRole("heading", { name: "Motion at front-door" }).waitFor();
  await deletion.answer({ event: "second", scrubbed: true });
  assert.equal(new URL(page.url()).pathname, "/events/first");
});

test("what is kept from now on is what was looked at", { timeout: 120000 }, async () => {
  await page.goto(`${hub.origin}/settings`);
  const previews = hold(/\/api\/v1\/household\/keep\/preview$/), saved = hold(/\/api\/v1\/household\/keep$/);
  const sum = (events) => ({ clips: 0, events, bytes: 0, from_ms: 1767225600000, to_ms: 1767225600000 });
  const look = page.getByRole("button", { name: "See what would be deleted" });
  await page.getByLabel("Days").fill("30");
  await look.click();
  const first = await previews.next();
  await page.getByLabel("Days").fill("3"); // before the answer
  await look.click();
  const second = await previews.next();
  assert.equal(JSON.parse(second.body).days, "3");
  await first.answer(sum(0));
  await second.answer(sum(500));
  await page.getByText("This would delete 0 clips and 500 events").waitFor();

  // a change after it, and there is nothing to save until it was looked at
  await page.getByLabel("Days").fill("20");
  await look.click();
  const third = await previews.next();
  await page.getByLabel("Days").fill("2");
  await third.answer(sum(7));
  assert.equal(await page.getByRole("button", { name: /^Save/ }).count(), 0, "an answer about 20 days saves no 2 days");
  await look.click();
  await (await previews.next()).answer(sum(9));
  await page.getByRole("button", { name: "Save and delete these" }).click();
  const wish = await saved.next();
  assert.deepEqual(JSON.parse(wish.body), { days: "2", bytes: "0" });
  await wish.answer({ days: 2, bytes: 0 });
  await page.getByText("Saved.").waitFor();
});

test("a browser that tells somebody else goes on so until it is taken over by hand", { timeout: 120000 }, async () => {
  await context.grantPermissions(["notifications"], { origin: hub.origin });
  await page.goto(`${hub.origin}/settings`);
  await live();
  await page.evaluate(() => {
    localStorage.setItem("push-for", "sam");
    const theirs = { toJSON: () => ({ endpoint: "https://push.example.net/sam", keys: { p256dh: "p", auth: "a" } }) };
    PushManager.prototype.getSubscription = async () => theirs;
    PushManager.prototype.subscribe = async () => theirs;
  });
  const told = hold(/\/api\/v1\/push\/subscriptions$/);
  await page.getByRole("link", { name: "Notifications", exact: true }).click();
  await page.locator("[data-push=other]").waitFor();
  assert.equal(told.asked.length, 0, "looking takes nothing over");
  await both("push-of-another");
  await page.getByRole("button", { name: "Tell me in this browser" }).click();
  await (await told.next()).answer({ id: "0123456789abcdef0123456789abcdef" }, 201);
  await (await told.next()).answer({ id: "0123456789abcdef0123456789abcdef" }); // and once more for the list
  await page.locator("[data-push=on]").waitFor();
  assert.equal(await page.evaluate(() => localStorage.getItem("push-for")), "robin");
});

test("after the stream was away the page is as the hub is now", { timeout: 120000 }, async () => {
  const breaks = () => page.evaluate(() => globalThis.stream.breaks());
  const comes = () => page.evaluate(() => globalThis.stream.comes());
  const settings = (privacy) => {
    const state = { version: 1, privacy, ignore: [], at_ms: 1767225600000 };
    return { device: "hall", pending: false, desired: state, reported: { ...state, capture: privacy ? "stopped" : "running" }, picture: null, most_zones: 8 };
  };

  // a device's page: somebody ended privacy meanwhile, which no message tells
  const asked = hold(/\/api\/v1\/devices\/hall\/settings$/);
  await page.goto(`${hub.origin}/devices/hall`);
  await (await asked.next()).answer(settings(true));
  await live();
  while (asked.asked.length > 0) await asked.asked.shift().answer(settings(true)); // the stream's first coming
  await page.getByText("Private: the camera captures nothing.").waitFor();
  await breaks();
  await page.getByText("Connecting…").waitFor();
  await comes();
  await (await asked.next()).answer(settings(false));
  await page.getByText("Not private: the camera watches.").waitFor();

  // refused for good, it begins anew by itself
  await page.evaluate(() => globalThis.stream.breaks(2));
  await (await asked.next()).answer(settings(true));
  await page.getByText("Private: the camera captures nothing.").waitFor();

  // the list of devices
  const lists = hold(/\/api\/v1\/devices$/);
  const device = (online) => ({ id: "hall", product: "camera", household: "home", state: "active", online, last_seen_ms: null, certificate_ends_ms: null });
  await page.getByRole("link", { name: "All devices" }).click();
  await (await lists.next()).answer({ devices: [device(true)] });
  await page.getByText("connected now").waitFor();
  await breaks();
  await comes();
  await (await lists.next()).answer({ devices: [device(false)] });
  await page.getByText("never connected").waitFor();

  // an event that was deleted
  const events = hold(/\/api\/v1\/events\/[^/]+$/);
  await page.goto(`${hub.origin}/events/first`);
  await (await events.next()).answer(event("first", "hall"));
  await live();
  while (events.asked.length > 0) await events.asked.shift().answer(event("first", "hall"));
  await page.getByRole("heading", { name: "Motion at hall" }).waitFor();
  await breaks();
  await comes();
  await (await events.next()).answer({ type: "urn:porchlight:problem:not-found", detail: "no such event" }, 404);
  await page.getByRole("heading", { name: "This event was deleted" }).waitFor();
});

test("after the stream was away the timeline has what it missed", { timeout: 120000 }, async () => {
  const returns = () => page.evaluate(() => { globalThis.stream.breaks(); globalThis.stream.comes(); });
  const at = (id, minute) => ({ ...event(id, id), at_ms: 1767225600000 + minute * 60000 });
  const titles = (...names) => page.waitForFunction((wanted) =>
    [...document.querySelectorAll(".event-title")].map((each) => each.textContent.slice("Motion at ".length)).join() === wanted, names.join());
  await page.goto(`${hub.origin}/devices`);
  await live();
  const pages = hold(/\/api\/v1\/events\?/);
  await page.getByRole("link", { name: "Timeline" }).click();
  await (await pages.next()).answer({ events: [at("c", 3), at("b", 2), at("a", 1)], next: null });
  await titles("c", "b", "a");

  // one is new, one gone; what the stream told after the hub was asked holds
  await returns();
  const slow = await pages.next();
  await says("motion", at("f", 6));
  await says("deleted", { event: "a", clip: "", device: "a" });
  await titles("f", "c", "b");
  await slow.answer({ events: [at("d", 4), at("c", 3), at("a", 1)], next: null });
  await titles("f", "d", "c");

  // without an answer it says so, and asks again when told to
  await returns();
  await (await pages.next()).lose();
  await page.getByRole("alert").filter({ hasText: "cannot be reached" }).waitFor();
  await page.getByRole("button", { name: "Try again" }).click();
  await (await pages.next()).answer({ events: [at("g", 7), at("f", 6)], next: "6-6" });
  await titles("g", "f", "d", "c");

  // more than one page of news: from the newest on, without a gap
  await returns();
  await (await pages.next()).answer({ events: [at("z", 90), at("y", 80)], next: "80-80" });
  const older = await pages.next();
  assert.match(older.url, /before=80-80/);
  await older.answer({ events: [at("x", 70), at("g", 7)], next: null });
  await titles("z", "y", "x", "g");
});

test("an export is called whole only when the hub has sent all of it", { timeout: 120000 }, async () => {
  await page.goto(`${hub.origin}/settings`);
  const state = (stage) => ({ stage, events: 10, events_done: stage === "whole" ? 10 : 4, bytes_sent: 40000 });
  const asked = hold(/\/api\/v1\/household\/export$/);
  const order = page.getByRole("button", { name: "Export" }), card = page.locator("section[aria-labelledby=export]");
  const alert = (text) => card.getByRole("alert").filter({ hasText: text }).waitFor();
  const begin = async () => {
    await order.click();
    const one = await asked.next();
    assert.equal(one.method, "POST");
    await one.answer({ url: "/api/v1/household/export/none-of-the-hub" }, 201);
  };

  await begin(); // fetched, and broken off
  await (await asked.next()).answer(state("running"));
  await card.getByText("4 of 10 events").waitFor();
  await (await asked.next()).answer(state("broken"));
  await alert("The export broke off.");
  assert.equal(await card.getByText(/has sent|has left/).count(), 0);
  await both("export-broken");

  await begin(); // never fetched
  await (await asked.next()).answer(state("ordered"));
  await card.getByText("waits for your browser").waitFor();
  await (await asked.next()).answer(state("lapsed"));
  await alert("Your browser did not fetch the export");

  await begin(); // the hub goes away meanwhile, and has forgotten when it is back
  await (await asked.next()).answer(state("running"));
  await (await asked.next()).lose();
  await alert("Whether the file is whole is not known.");
  await (await asked.next()).answer(state("none"));
  await alert("The export broke off: the hub has started anew");

  await begin();
  await (await asked.next()).answer(state("whole"));
  await card.getByText("The hub has sent the whole file").waitFor();
  assert.equal(await card.getByRole("alert").filter({ hasText: /./ }).count(), 0);
  await both("export-whole");
});

test("no recovery code is asked for where it would not be enough", { timeout: 120000 }, async () => {
  await page.goto(`${hub.origin}/security`);
  await page.evaluate(async () => {
    while ((await (await fetch("/api/v1/sessions")).json()).step_up_left_s > 0); // until the hub says that the last code counts no more
  });
  const codes = page.getByText("10 codes still work."), dialog = page.getByRole("dialog", { name: "Is it you?" });
  await codes.waitFor();
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Make new codes" }).click();
  await dialog.getByText("a recovery code is not enough").waitFor();
  assert.equal(await dialog.getByRole("button", { name: "Use a recovery code" }).count(), 0);
  await both("step-up-app");
  await dialog.getByLabel("Code from your authenticator app").fill(codeAt(account.secret, "now + 30 seconds"));
  await dialog.getByRole("button", { name: "Go on" }).click();
  await page.getByRole("heading", { name: "Keep your recovery codes" }).waitFor();
  assert.equal(await page.locator(".codes code").count(), 10);
});

test("how an erasure ended is shown, also when the sign-in went with it", { timeout: 120000 }, async () => {
  await page.goto(`${hub.origin}/settings`);
  await live();
  const erasures = hold(/\/api\/v1\/household\/erase$/);
  await page.getByRole("button", { name: "Erase…" }).click();
  await page.getByLabel(/^Type/).fill("Home");
  const erase = page.getByRole("button", { name: "Erase it for ever" });
  const card = page.locator("section[aria-labelledby=erase]");

  await erase.click(); // the sign-in is ended, and then the disk is full
  const first = await erasures.next();
  assert.equal(await page.evaluate(() => globalThis.stream.readyState), 2, "no stream whose end leads to the sign-in page");
  await first.answer({ type: "urn:porchlight:problem:storage", detail: "the disk is full" }, 507);
  await card.getByRole("alert").filter({ hasText: "The household may be erased in part, or wholly; load the page anew to see what is left. What went wrong: the disk is full" }).waitFor();
  await both("erase-failed");
  await erase.click();
  await (await erasures.next()).answer({ type: "urn:porchlight:problem:unauthenticated", detail: "sign in first" }, 401);
  await card.getByRole("alert").filter({ hasText: "sign in first" }).waitFor();

  await erase.click(); // refused before anything was done: the page goes on, live
  await (await erasures.next()).answer({ type: "urn:porchlight:problem:confirm", detail: "type the name" }, 422);
  await card.getByRole("alert").filter({ hasText: "type the name" }).waitFor();
  await live();

  await erase.click();
  await (await erasures.next()).answer({});
  await page.getByRole("heading", { name: "Everything is gone" }).waitFor();
  await both("erased");
});

test("who signs out without the hub is told to be signed in still", { timeout: 120000 }, async () => {
  await page.goto(`${hub.origin}/devices`);
  await live();
  const logout = hold(/\/api\/v1\/logout$/);
  await page.getByRole("button", { name: "Sign out" }).click();
  await (await logout.next()).lose();
  await page.getByRole("alert").filter({ hasText: "You are still signed in. The hub cannot be reached: " }).waitFor();
  await page.getByRole("heading", { name: "Devices" }).waitFor();
  await both("sign-out-failed");
  held = [];
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in to Porchlight" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Sign in to Porchlight" }).waitFor();
  assert.deepEqual(bad, [], "no policy violation and no script error");
});
