// A person looks after the own account, on a phone and at a desk: a stranger's sign-in shows up at once, one touch ends
// it, a new password shuts the stranger out; sign-ins are listed and ended; dangerous things want a fresh code.
import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { browser, Hub, watch } from "./hub.mjs";
import { clean, codeAt, joins, PASSWORD, pictures } from "./person.mjs";

const NEXT = "Pond-frog-Ladder-sings-9-maps";
let hub;

before(async () => {
  hub = new Hub();
  await hub.start((conf) => appendFileSync(conf, "people.step_up_s = 2\n"));
});
after(() => hub?.stop());

const desk = { width: 1280, height: 800 }, phone = { width: 390, height: 844 };

async function both(page, name) {
  await clean(page, name);
  await page.setViewportSize(desk);
  await clean(page, `${name}-desk`);
  await page.setViewportSize(phone);
}

// The next step's code is good once this one's is used.
const nextCode = (secret) => codeAt(secret, "now + 30 seconds");

// Somebody else's browser, seen from the hub: the same door, another agent. Gives the status and the cookie.
async function stranger(context, password, code) {
  const answer = await context.request.post(`${hub.origin}/api/v1/login`, {
    data: { name: "robin", password, code }, ignoreHTTPSErrors: true, failOnStatusCode: false,
    headers: { Origin: hub.origin, "User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Firefox/128.0" },
  });
  return answer.status();
}

// Until the hub itself says that the last code counts no more.
const stale = (page) => page.evaluate(async () => {
  while ((await (await fetch("/api/v1/sessions")).json()).step_up_left_s > 0);
});

test("an account is looked after, on a phone and at a desk", { timeout: 300000 }, async () => {
  const context = await browser(hub, phone);
  const other = await browser(hub, phone); // the stranger's: cookies of its own
  const bad = await watch(context);
  const page = await context.newPage();
  try {
    const { secret, recovery } = await joins(page, hub.cli("setup-link").url);

    // a stranger signs in, and the open page says so without a reload
    assert.equal(await stranger(other, PASSWORD, recovery[0]), 200);
    const banner = page.locator(".banner-alert");
    await banner.filter({ hasText: "New sign-in. Was this you?" }).waitFor();
    assert.match(await banner.textContent(), /Firefox on Windows, from 127\.0\.0\.1/);
    await both(page, "alert-banner");

    // the page about it
    await page.getByRole("link", { name: "Security" }).click();
    await page.getByRole("heading", { name: "Was this you?" }).waitFor();
    await page.getByText("This one", { exact: true }).waitFor();
    assert.equal(await page.locator("[data-session]").count(), 2);
    await both(page, "security-alert");
    await page.getByRole("link", { name: "Timeline" }).click();

    // not me: that sign-in is over, and the password comes next, with what is wrong with it
    await banner.getByRole("button", { name: "Not me, sign it out" }).click();
    await page.getByText("That sign-in is over.").waitFor();
    assert.equal(await page.evaluate(() => document.activeElement?.id), "password-title");
    assert.equal((await other.request.get(`${hub.origin}/api/v1/me`, { ignoreHTTPSErrors: true })).status(), 401);
    await page.getByLabel("Password now").fill(PASSWORD);
    await page.getByLabel("New password").fill("password");
    await page.locator("#password-tips p").nth(1).waitFor();
    assert.ok(await page.getByRole("button", { name: "Change password" }).isDisabled());
    await both(page, "security-urgent");
    await stale(page);
    await page.getByLabel("New password").fill(NEXT);
    await page.getByRole("button", { name: "Change password" }).click();

    // it wants a fresh code; a wrong one is told, and leaving changes nothing
    const dialog = page.getByRole("dialog", { name: "Is it you?" });
    await dialog.waitFor();
    await dialog.getByLabel("Code from your authenticator app").fill("000000");
    await dialog.getByRole("button", { name: "Go on" }).click();
    await dialog.getByRole("alert").filter({ hasText: /wrong/ }).waitFor();
    await both(page, "step-up");
    await page.keyboard.press("Escape");
    await page.getByRole("alert").filter({ hasText: "Nothing was changed" }).waitFor();
    await page.getByRole("button", { name: "Change password" }).click();
    await dialog.getByLabel("Code from your authenticator app").fill(nextCode(secret));
    await dialog.getByRole("button", { name: "Go on" }).click();
    await page.getByText("Changed. You were signed in nowhere else.").waitFor();
    await page.getByText("Live", { exact: true }).waitFor(); // the stream came back under the new cookie

    // the old password is worth nothing; the new one without a code is told as such
    assert.equal(await stranger(other, PASSWORD, recovery[1]), 401);
    assert.equal(await stranger(other, NEXT, "000000"), 401);
    const half = page.locator("[data-alert]").filter({ hasText: "used without a code" });
    await half.waitFor();
    await half.getByRole("button", { name: "It was me" }).click();
    await page.getByRole("heading", { name: "What happened to your account" }).waitFor();
    await page.getByText("You said: it was me").waitFor();

    // two more sign-ins: one is signed out by itself, the rest together, for a recovery code each
    assert.equal(await stranger(other, NEXT, recovery[2]), 200);
    await other.clearCookies(); // so that the next is another browser
    assert.equal(await stranger(other, NEXT, recovery[3]), 200);
    await page.locator("[data-session]").nth(2).waitFor();
    await stale(page);
    await page.getByRole("button", { name: /^Sign out Firefox on Windows/ }).first().click();
    await dialog.getByRole("button", { name: "Use a recovery code" }).click();
    await dialog.getByLabel("Recovery code").fill(recovery[4]);
    await clean(page, "step-up-recovery");
    await dialog.getByRole("button", { name: "Go on" }).click();
    await page.getByText("Signed out.").waitFor();
    await stale(page);
    await page.getByRole("button", { name: "Sign out everywhere else" }).click();
    await dialog.getByLabel("Recovery code").fill(recovery[5]); // asked for at once: the app was not at hand before
    await dialog.getByRole("button", { name: "Go on" }).click();
    await page.getByText("1 signed out.").waitFor();
    assert.equal(await page.locator("[data-session]").count(), 1);
    assert.equal((await other.request.get(`${hub.origin}/api/v1/me`, { ignoreHTTPSErrors: true })).status(), 401);

    // signed out from elsewhere, the page shows nothing of the house any more
    await both(page, "security");
    const own = await page.locator("[data-session]").getAttribute("data-session");
    await page.evaluate((id) => fetch(`/api/v1/sessions/${id}`, { method: "DELETE" }), own);
    await page.getByRole("heading", { name: "Sign in to Porchlight" }).waitFor();
    assert.deepEqual(bad, [], "no policy violation and no script error");
  } finally {
    await page.screenshot({ path: join(pictures, "last-security.png") }).catch(() => undefined);
    await other.close();
    await context.close();
  }
});

test("as an app on the home screen a sign-in lasts longer", { timeout: 120000 }, async () => {
  const page = await (await browser(hub, phone)).newPage();
  try {
    const asked = [];
    await page.exposeFunction("asks", (body) => asked.push(JSON.parse(body)));
    await page.addInitScript(() => { // in the page: not every question that a service worker has let through comes to the driver's own routes
      const real = globalThis.fetch.bind(globalThis);
      globalThis.fetch = async (path, options) => {
        if (path !== "/api/v1/login") return real(path, options);
        await globalThis.asks(options.body);
        return new Response("{}", { status: 401, headers: { "Content-Type": "application/json" } });
      };
    });
    for (const standalone of [false, true]) {
      await page.addInitScript((is) => {
        const real = globalThis.matchMedia.bind(globalThis);
        globalThis.matchMedia = (query) => (query === "(display-mode: standalone)" ? { ...real(query), matches: is } : real(query));
      }, standalone);
      await page.goto(`${hub.origin}/login`);
      await page.getByLabel("Name").fill("robin");
      await page.getByLabel("Password").fill(NEXT);
      await page.getByLabel("Code from your authenticator app").fill("123456");
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("alert").filter({ hasText: /.+/ }).waitFor();
    }
    assert.deepEqual(asked.map((body) => body.installed), [undefined, "yes"]);
  } finally {
    await page.context().close();
  }
});
