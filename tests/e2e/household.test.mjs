// Who lives here, and what leaves the house: an invited person comes in by the link, with the rights of a role and no more; an owner
// gives a device away, by its name typed out, and it is gone from everybody's page.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { browser, Hub, watch } from "./hub.mjs";
import { clean, joins } from "./person.mjs";

const phone = { width: 390, height: 844 }, desk = { width: 1280, height: 800 };
let hub;

before(async () => {
  hub = new Hub();
  await hub.start();
});
after(() => hub?.stop());

test("a person is invited, and an owner gives a device away", { timeout: 300000 }, async () => {
  const owners = await browser(hub, phone), guests = await browser(hub, desk);
  const bad = [await watch(owners), await watch(guests)];
  for (const name of ["door", "shed"]) hub.cli("device", "add", name, "--product", "camera", "--out", join(hub.top, name));
  const owner = await owners.newPage(), adult = await guests.newPage();
  try {
    await joins(owner, hub.cli("setup-link").url);

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
