// A camera day by day, in a real browser: zones drawn and moved by keyboard, privacy until the camera has said so, a wrong
// person corrected, an event deleted on one page and gone on the other.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { browser, film, Hub, watch } from "./hub.mjs";
import { clean, joins, pictures } from "./person.mjs";

let hub;
before(async () => {
  hub = await new Hub().start();
});
after(() => hub?.stop());

test("a camera's zones, privacy and mistakes, and what is deleted", { timeout: 300000 }, async () => {
  const context = await browser(hub, { width: 390, height: 844 });
  const bad = await watch(context);
  const page = await context.newPage();
  try {
    await joins(page, hub.cli("setup-link").url);
    hub.camera("front-door", film("vtest.avi"), "--loop");
    await page.locator("li.event .badge-person").first().waitFor();

    // the camera's page
    await page.getByRole("link", { name: "Devices", exact: true }).click();
    await page.getByRole("link", { name: "Privacy and zones of front-door" }).click();
    await page.getByText("Not private: the camera watches.").waitFor();
    await page.locator(".zones img").waitFor();

    // a zone by keyboard
    await page.getByRole("button", { name: "Add a zone" }).press("Enter");
    const first = page.getByRole("button", { name: /^Zone 1: left/ });
    await first.press("ArrowLeft");
    await first.press("ArrowUp");
    await first.press("Shift+ArrowRight");
    await page.getByRole("button", { name: "Zone 1: left 33 %, top 33 %, width 32 %, height 30 %" }).waitFor();
    // and one drawn
    const area = await page.locator(".zones").boundingBox();
    await page.mouse.move(area.x + area.width * 0.05, area.y + area.height * 0.1);
    await page.mouse.down();
    await page.mouse.move(area.x + area.width * 0.25, area.y + area.height * 0.3, { steps: 4 });
    await page.mouse.up();
    await page.getByRole("button", { name: /^Zone 2: left 5 %, top 10 %, width 20 %, height 20 %/ }).waitFor();
    await page.getByText("Changed here and not saved yet.").waitFor();
    await clean(page, "camera-zones");
    await page.getByRole("button", { name: "Remove zone 1" }).click();
    await page.getByRole("button", { name: "Save zones" }).click();
    await page.locator("[data-state=applied]").waitFor();
    const kept = await page.evaluate(async () => (await (await fetch("/api/v1/devices/front-door/settings")).json()).reported.ignore);
    assert.equal(kept.length, 1);
    assert.ok(Math.abs(kept[0][0] - 500) < 60 && Math.abs(kept[0][2] - 2000) < 120, `a zone of the drawn place, not ${kept[0]}`);

    // somebody else saves other zones while these are changed here: theirs stay, and the page says so
    await page.getByRole("button", { name: /^Zone 1: / }).press("ArrowRight");
    assert.equal(await page.evaluate(async () => (await fetch("/api/v1/devices/front-door/zones", {
      method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ignore: "100,100,2000,2000" }),
    })).status), 200);
    await page.getByRole("button", { name: "Save zones" }).click();
    await page.getByRole("alert").filter({ hasText: "Somebody else has changed these zones meanwhile." }).waitFor();
    await page.getByRole("button", { name: /^Zone 1: left 1 %, top 1 %, width 20 %, height 20 %/ }).waitFor();
    await clean(page, "camera-zones-changed");
    // a switch of privacy in between is no change of the zones
    await page.getByRole("button", { name: /^Zone 1: / }).press("ArrowRight");
    assert.equal(await page.evaluate(async () => (await fetch("/api/v1/devices/front-door/privacy", {
      method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ on: "no" }),
    })).status), 200);
    await page.waitForFunction(async () => {
      const shown = await (await fetch("/api/v1/devices/front-door/settings")).json();
      return !shown.pending;
    });
    await page.getByRole("button", { name: "Save zones" }).click();
    await page.locator("[data-state=applied]").waitFor();
    await page.getByRole("button", { name: /^Zone 1: left 3 %, top 1 %, width 20 %, height 20 %/ }).waitFor();

    // privacy: while the camera is stopped it cannot say so, and the page says pending
    const camera = hub.cameras[0];
    camera.kill("SIGSTOP");
    await page.getByRole("switch", { name: "Privacy mode" }).click();
    await page.locator("[data-state=pending]").filter({ hasText: "privacy is on" }).waitFor();
    await clean(page, "camera-privacy-pending");
    camera.kill("SIGCONT");
    await page.locator("[data-state=private]").filter({ hasText: "captures nothing" }).waitFor();
    assert.equal(await page.getByRole("switch", { name: "Privacy mode" }).getAttribute("aria-checked"), "true");
    await clean(page, "camera-private");

    // it was no person: on this page, and on another that is open
    const other = await context.newPage();
    await other.goto(hub.origin);
    await other.locator("li.event").first().waitFor();
    await page.goto(hub.origin);
    const row = page.locator("li.event").filter({ has: page.locator(".badge-person") }).first();
    const id = await row.getAttribute("data-event");
    await row.getByRole("link").click();
    await page.getByRole("button", { name: "Not a person" }).click();
    await page.getByText('robin said "not a person"').waitFor();
    await page.getByRole("heading", { name: "Motion at front-door" }).waitFor();
    await other.locator(`li[data-event="${id}"]`).getByText("Not a person").waitFor();
    await clean(page, "event-not-a-person");
    await clean(other, "timeline-not-a-person");

    // deleted here, gone there
    await page.getByRole("button", { name: "Delete this event" }).click();
    await page.waitForFunction(() => document.activeElement?.textContent === "Keep it"); // what Escape is for is there
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Delete this event" }).press("Enter");
    await page.waitForFunction(() => document.activeElement?.textContent === "Keep it"); // the focus is on the way back
    await clean(page, "event-delete");
    await page.getByRole("button", { name: "Delete for good" }).click();
    await page.waitForURL(`${hub.origin}/`);
    await other.locator(`li[data-event="${id}"]`).waitFor({ state: "detached" });
    assert.equal(await page.evaluate(async (event) => (await fetch(`/api/v1/events/${event}`)).status, id), 404);
    await other.goto(`${hub.origin}/events/${id}`);
    await other.getByRole("alert").filter({ hasText: /no such event/ }).waitFor();

    // at a desk
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.goto(`${hub.origin}/devices/front-door`);
    await page.locator(".zones .zone").waitFor();
    await clean(page, "camera-desk");
    assert.deepEqual(bad, [], "no policy violation and no script error");
  } finally {
    await page.screenshot({ path: join(pictures, "camera-last.png") }).catch(() => undefined);
    await context.close();
  }
});
