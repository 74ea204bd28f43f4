// Who lives here, and what leaves the house: an invited person comes in by the link, with the rights of a role and no more; an owner
// gives a device away, by its name typed out, and it is gone from everybody's page.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { axe, browser, Hub, root, watch } from "./hub.mjs";

const pictures = join(root, "build/e2e");
const phone = { width: 390, height: 844 }, desk = { width: 1280, height: 800 };
let hub;

before(async () => {
  mkdirSync(pictures, { recursive: true });
  hub = new Hub();
  await hub.start();
});
after(() => hub?.stop());

async function clean(page, name) {
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
  assert.deepEqual(await axe(page), [], `accessibility of ${name}`);
}

// By a setup link or an invitation, which lead to the same page.
async function joins(page, url, name, password) {
  await page.goto(url);
  await page.getByLabel("Name to sign in with").fill(name);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Continue" }).click();
  const secret = (await page.locator(".secret").textContent()).replace(/\s/g, "");
  await page.getByLabel("Code from your authenticator app").fill(execFileSync("oathtool", ["--totp", "-b", secret], { encoding: "utf8" }).trim());
  await page.getByRole("button", { name: "Finish" }).click();
  await page.getByRole("heading", { name: "Keep your recovery codes" }).waitFor();
  await page.getByLabel("I have kept them").check();
  await page.getByRole("button", { name: "Open Porchlight" }).click();
  await page.getByText("Live", { exact: true }).waitFor();
}

test("a person is invited, and an owner gives a device away", { timeout: 300000 }, async () => {
  const owners = await browser(hub, phone), guests = await browser(hub, desk);
  const bad = [await watch(owners), await watch(guests)];
  for (const name of ["door", "shed"]) hub.cli("device", "add", name, "--product", "camera", "--out", join(hub.top, name));
  const owner = await owners.newPage(), adult = await guests.newPage();
  try {
    await joins(owner, hub.cli("setup-link").url, "robin", "Gate-lamp-Otter-rides-7-trams");

    // an invitation is for one person, once
    const invitation = hub.cli("user", "invite", "adult").url;
    await joins(adult, invitation, "sam", "Pond-frog-Ladder-sings-9-maps");
    const again = await guests.newPage();
    await again.goto(invitation);
    await again.reload();
    await again.getByLabel("Name to sign in with").fill("alex");
    await again.getByLabel("Password", { exact: true }).fill("Moss-kettle-Heron-paints-4-doors");
    await again.getByRole("alert").filter({ hasText: /link/ }).waitFor(); // no dead button without a word
    assert.ok(await again.getByRole("button", { name: "Continue" }).isDisabled());
    assert.equal(hub.cli("user", "list").users.length, 2);
    await again.close();

    // an adult sees the device and cannot give it away, by no door
    await adult.goto(`${hub.origin}/devices/door`);
    await adult.getByRole("heading", { name: "door" }).waitFor();
    assert.equal(await adult.getByRole("heading", { name: "Give this device away" }).count(), 0);
    assert.equal(await adult.evaluate(async () => (await fetch("/api/v1/devices/door/release", { method: "POST",
      headers: { "Content-Type": "application/json" }, body: JSON.stringify({ confirm: "door" }) })).status), 403);
    await adult.goto(`${hub.origin}/devices`);
    await adult.locator("[data-device=door]").waitFor();

    // the owner means it: the name, letter by letter
    await owner.goto(`${hub.origin}/devices/door`);
    await owner.getByRole("button", { name: "Release…" }).click();
    const last = owner.getByRole("button", { name: "Release it for ever" });
    await owner.getByLabel("Type “door” to go on").fill("shed");
    assert.ok(await last.isDisabled());
    await clean(owner, "give-away");
    await owner.getByRole("button", { name: "Keep it" }).click();
    await owner.getByRole("button", { name: "Release…" }).click();
    await owner.getByLabel("Type “door” to go on").fill("door");
    await last.click();
    await owner.getByText("door is released.").waitFor();
    await clean(owner, "given-away");
    await owner.getByRole("link", { name: "All devices" }).last().click();
    await owner.locator("[data-device=shed]").waitFor();
    assert.equal(await owner.locator("[data-device=door]").count(), 0);
    await adult.reload();
    await adult.locator("[data-device=shed]").waitFor();
    assert.equal(await adult.locator("[data-device=door]").count(), 0);
    assert.deepEqual(hub.cli("device", "list").devices.map((device) => device.id), ["shed"]);
    for (const each of bad) assert.deepEqual(each, []);
  } finally {
    await owners.close();
    await guests.close();
  }
});
