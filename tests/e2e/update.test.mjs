// The second act on the devices page, on a phone: what each camera runs, and how its update goes, as it goes. What the cameras say is
// said here by the device program; what they do is another test's business (tests/integration/test_update_agent.py).
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { axe, browser, Hub, root, watch } from "./hub.mjs";
import { joins, pictures } from "./person.mjs";

const program = join(process.env.PORCHLIGHT_BUILD ?? join(root, "build/release"), "bin/porchlight-device");
let hub, context, page, bad;

before(async () => {
  hub = await new Hub().start();
  for (const name of ["front-door", "garden"])
    hub.cli("device", "add", name, "--product", "camera", "--out", join(hub.top, name));
  context = await browser(hub, { width: 390, height: 844 });
  bad = await watch(context);
  page = await context.newPage();
  await joins(page, hub.cli("setup-link").url);
  await page.goto(`${hub.origin}/devices`);
  await page.getByRole("heading", { name: "Devices", exact: true }).waitFor();
});
after(async () => {
  await context?.close();
  await hub?.stop();
});

// The status of a device, acknowledged by the hub.
const say = (name, status) =>
  execFileSync(program, [join(hub.top, name), "publish", `d/${name}/update/status`, JSON.stringify({ v: 1, floor: 1, ...status })]);
const row = (name) => page.locator(`li.device[data-device="${name}"]`);
// What the page says of it, once it says so, without a reload.
const shows = (name, state, words) => row(name).locator(`[data-update="${state}"]`, { hasText: words }).waitFor();

async function clean(name) {
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
  assert.deepEqual(await axe(page), [], `accessibility of ${name}`);
  const wide = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide[0] <= wide[1], `${name} is wider than the phone: ${wide}`);
}

test("versions and the way of an update show as they happen, to a good end and to a rolled back one", { timeout: 600000 }, async () => {
  await page.evaluate(() => { globalThis.kept = true; });
  assert.equal(await row("front-door").locator("[data-update]").count(), 0, "a device that has said nothing has no version");
  say("front-door", { running: "1.0", state: "good" });
  say("garden", { running: "1.0", state: "good" });
  await shows("front-door", "good", /^Version 1\.0$/);
  await shows("garden", "good", /^Version 1\.0$/);
  await clean("update-before");

  const update = { running: "1.0", target: "1.1", attempt: 1, rollout: "r1" };
  for (const [state, words] of [["waiting", "update to 1.1 waits"], ["downloading", "downloading the update to 1.1"],
    ["staged", "update to 1.1 is ready to start"], ["trial", "trying the update to 1.1"]]) {
    const said = state === "trial" ? { ...update, running: "1.1" } : update;
    say("front-door", { ...said, state });
    await shows("front-door", state, state === "trial" ? "trying the update" : words);
  }
  await clean("update-trial");
  say("front-door", { ...update, running: "1.1", state: "good" });
  await shows("front-door", "good", /^Version 1\.1$/);
  await shows("garden", "good", /^Version 1\.0$/);

  // One whose own check says no: back to what was good, with the reason in words.
  say("garden", { ...update, state: "rolled-back", reason: "the picture stays dark: the lens driver does not answer" });
  await shows("garden", "rolled-back", "Version 1.0 · update to 1.1 was rolled back: the picture stays dark: the lens driver does not answer");
  await clean("update-rolled-back");
  assert.equal(await page.evaluate(() => globalThis.kept), true, "the page was never reloaded");
  assert.deepEqual(bad, []);
});

test("at a desk it reads as well", async () => {
  await page.setViewportSize({ width: 1280, height: 800 });
  await clean("update-desk");
});
