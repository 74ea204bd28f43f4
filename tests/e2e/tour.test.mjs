// A person's whole first day, in a real browser at phone and desk width: the setup link, an account, the second factor,
// a person at the door without a reload, the clip, the devices, signing out and in again.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { browser, film, Hub, watch } from "./hub.mjs";
import { clean, codeAt, PASSWORD, pictures } from "./person.mjs";

let hub;

// A step is used once, so the next sign-in takes the next step's code.
const used = new Set();
function code(secret) {
  for (const when of ["now", "now + 30 seconds"]) {
    const digits = codeAt(secret, when);
    if (!used.has(digits)) return used.add(digits) && digits;
  }
  throw new Error("both codes that the hub accepts now are used");
}

before(async () => {
  hub = await new Hub().start();
});
after(() => hub?.stop());

test("from the setup link to a person at the door, on a phone and at a desk", { timeout: 900000 }, async () => {
  const context = await browser(hub, { width: 390, height: 844 });
  const bad = await watch(context);
  const page = await context.newPage();
  try {
    // the account
    await page.goto(hub.cli("setup-link").url);
    await page.getByLabel("Name to sign in with").fill("robin");
    await page.getByLabel("Password", { exact: true }).fill("password");
    await page.locator("#password-tips p").nth(1).waitFor();
    assert.ok(await page.getByRole("button", { name: "Continue" }).isDisabled(), "a weak password must not go on");
    await clean(page, "setup-weak");
    await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await page.getByRole("button", { name: "Continue" }).click();

    // the second factor
    const secret = (await page.locator(".secret").textContent()).replace(/\s/g, "");
    await page.locator("img.qr").waitFor();
    await clean(page, "setup-code");
    await page.getByLabel("Code from your authenticator app").fill("000000");
    await page.getByRole("button", { name: "Finish" }).click();
    await page.getByRole("alert").filter({ hasText: /code/i }).waitFor();
    await page.getByLabel("Code from your authenticator app").fill(code(secret));
    await page.getByRole("button", { name: "Finish" }).click();

    // the recovery codes, shown once
    await page.getByRole("heading", { name: "Keep your recovery codes" }).waitFor();
    const recovery = await page.locator(".codes code").allTextContents();
    assert.equal(new Set(recovery).size, 10);
    assert.match(recovery[0], /^[A-Z2-7]{4}(-[A-Z2-7]{4}){3}$/);
    await clean(page, "setup-recovery");
    const saved = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download" }).click();
    assert.ok(readFileSync(await (await saved).path(), "utf8").includes(recovery[9]), "the file has the codes");
    assert.ok(await page.getByRole("button", { name: "Open Porchlight" }).isDisabled(), "first they must be kept");
    await page.getByLabel("I have kept them").check();
    await page.getByRole("button", { name: "Open Porchlight" }).click();

    // nothing yet, and what to do next
    await page.getByRole("heading", { name: "Nothing has happened yet" }).waitFor();
    await page.getByText("Live", { exact: true }).waitFor();
    await clean(page, "timeline-empty");
    await page.getByRole("link", { name: "Devices", exact: true }).click();
    await page.getByRole("heading", { name: "No devices yet" }).waitFor();
    await clean(page, "devices-empty");
    await page.getByRole("link", { name: "Timeline" }).click();

    // a person at the door, without a reload
    await page.evaluate(() => { globalThis.neverReloaded = true; });
    hub.camera("front-door", film("vtest.avi"));
    const banner = page.locator(".banner");
    await banner.waitFor();
    assert.match(await banner.textContent(), /Person at front-door/);
    assert.ok(await page.evaluate(() => globalThis.neverReloaded), "the banner must come without a reload");
    await page.locator("li.event .badge-person").first().waitFor();
    await clean(page, "timeline-person");

    // the clip plays and seeks
    await banner.getByRole("link", { name: "Watch" }).click();
    const video = page.locator("video.player");
    await video.waitFor();
    await page.waitForFunction(() => document.querySelector("video").readyState >= 2);
    await video.evaluate((v) => { v.muted = true; return v.play(); });
    await page.waitForFunction(() => document.querySelector("video").currentTime > 0.5);
    const seek = await video.evaluate((v) => new Promise((done) => {
      v.pause();
      v.addEventListener("seeked", () => done({ at: v.currentTime, duration: v.duration, from: v.seekable.start(0), to: v.seekable.end(0) }), { once: true });
      v.currentTime = v.duration - 2;
    }));
    assert.ok(seek.duration > 5 && seek.duration < 13, `a clip of about ten seconds, not ${seek.duration}`);
    assert.ok(Math.abs(seek.at - (seek.duration - 2)) < 0.2, `seeked to ${seek.at} of ${seek.duration}`);
    await video.evaluate((v) => new Promise((done) => {
      v.addEventListener("seeked", () => done(true), { once: true });
      v.currentTime = 1;
    }));
    await clean(page, "event");

    // the devices, at a desk
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.getByRole("link", { name: "Devices", exact: true }).click();
    await page.getByText("connected now").waitFor();
    await clean(page, "devices-desk");
    await page.getByRole("link", { name: "Timeline" }).click();
    await page.locator("li.event").first().waitFor();
    await clean(page, "timeline-desk");

    // by keyboard alone: skip link, then the first event
    await page.keyboard.press("Home");
    await page.locator("body").press("Tab");
    const focused = () => page.evaluate(() => document.activeElement?.textContent ?? "");
    let found = false;
    for (let i = 0; i < 12 && !found; i++) {
      found = /at front-door/.test(await focused());
      if (!found) await page.keyboard.press("Tab");
    }
    assert.ok(found, "an event can be reached by keyboard");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: /at front-door/ }).waitFor();

    // out, and in again with a code that was not used yet
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in to Porchlight" }).waitFor();
    await clean(page, "login");
    assert.equal(await page.evaluate(async () => (await fetch("/api/v1/me")).status), 401);
    await page.getByLabel("Name").fill("robin");
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByLabel("Code from your authenticator app").fill("123456");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").filter({ hasText: /.+/ }).waitFor();
    await clean(page, "login-wrong");
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByLabel("Code from your authenticator app").fill(code(secret));
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.locator("li.event").first().waitFor();

    await page.setViewportSize({ width: 390, height: 844 });

    // the phone is gone: a recovery code in place of the code, once
    for (const works of [true, false]) {
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByLabel("Name").fill("robin");
      await page.getByLabel("Password").fill(PASSWORD);
      await page.getByRole("button", { name: "Use a recovery code" }).click();
      await page.getByLabel("Recovery code").fill(recovery[0].toLowerCase());
      if (works) await clean(page, "login-recovery");
      await page.getByRole("button", { name: "Sign in" }).click();
      if (works) await page.locator("li.event").first().waitFor();
      else await page.getByRole("alert").filter({ hasText: /.+/ }).waitFor();
    }
    assert.deepEqual(bad, [], "no policy violation and no script error");
  } finally {
    await page.screenshot({ path: join(pictures, "last.png") }).catch(() => undefined);
    await context.close();
  }
});
