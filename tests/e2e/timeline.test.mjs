// The timeline of a long past: filters in the address, a page that stays small, both colour schemes, and what a screen reader
// and a keyboard find. The past is written into the stopped hub's database by tools/lab/fill.py.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { axe, browser, Hub, root, watch } from "./hub.mjs";
import { joins, pictures } from "./person.mjs";

const EVENTS = 3000;
let hub, context, page, bad;

before(async () => {
  hub = await new Hub().start();
  for (const name of ["front-door", "garden"])
    hub.cli("device", "add", name, "--product", "camera", "--out", join(hub.top, name));
  context = await browser(hub, { width: 390, height: 844 });
  bad = await watch(context);
  page = await context.newPage();
  await joins(page, hub.cli("setup-link").url);
  // the past, while the hub is away
  await hub.restart(() => execFileSync("python3", [join(root, "tools/lab/fill.py"), hub.dir, "--events", String(EVENTS), "--days", "25",
    "--cameras", "front-door,garden"]));
});
after(async () => {
  await context?.close();
  await hub?.stop();
});

const open = async (path) => {
  await page.goto(hub.origin + path);
  await page.locator("li.event").first().waitFor();
};
const count = () => page.locator("li.event").count();

test("the address holds the filter, and the filter holds", async () => {
  await open("/");
  await page.getByLabel("Camera").selectOption("garden");
  await page.waitForURL(/\?camera=garden$/);
  await page.waitForFunction(() => [...document.querySelectorAll(".event-title")].length > 3 &&
    [...document.querySelectorAll(".event-title")].every((each) => each.textContent.endsWith("at garden")));
  await page.getByRole("button", { name: "Persons" }).click();
  await page.waitForURL(/camera=garden&person=1$/);
  await page.waitForFunction(() => [...document.querySelectorAll(".event-title")].length > 3 &&
    [...document.querySelectorAll(".event-title")].every((each) => each.textContent.startsWith("Person at")));
  assert.equal(await page.getByRole("button", { name: "Persons" }).getAttribute("aria-pressed"), "true");
  // a day, in the household's zone
  const day = new Date(Date.now() - 20 * 86400000).toISOString().slice(0, 10);
  await page.getByLabel("Day", { exact: true }).fill(day);
  await page.waitForURL(new RegExp(`day=${day}`));
  await page.getByText(/That is everything|Nothing was seen/).waitFor();
  assert.ok((await page.locator(".day h2").count()) <= 1);
  await page.getByRole("button", { name: "The day before" }).click();
  await page.waitForURL((url) => url.searchParams.get("day") < day);
  await page.goBack();
  await page.waitForURL(new RegExp(`day=${day}`));
  await page.getByRole("button", { name: "Clear" }).click();
  await page.waitForURL(/\/$/);
});

test("the page stays small however far it is scrolled, and comes back to its place", async () => {
  await open("/");
  let most = 0, lowest = 0;
  for (let i = 0; i < 60; i++) {
    await page.evaluate(() => scrollBy({ top: 2500, behavior: "instant" }));
    await page.waitForFunction(() => document.querySelectorAll("li.event").length > 0);
    most = Math.max(most, await page.evaluate(() => document.querySelectorAll("*").length));
    lowest = await page.evaluate(() => scrollY);
  }
  assert.ok(lowest > 60000, `far down at ${lowest}`);
  assert.ok(most < 900, `${most} elements at most`);
  assert.ok((await count()) < 40);
  const place = await (await page.waitForFunction(() => // the rows of that place may be on their way yet
    [...document.querySelectorAll("li.event")].find((each) => each.getBoundingClientRect().top > 200)?.dataset.event)).jsonValue();
  await page.locator(`[data-event="${place}"] a`).click();
  await page.getByRole("link", { name: "Back to the timeline" }).click();
  await page.locator(`[data-event="${place}"]`).waitFor();
  assert.ok(Math.abs(await page.evaluate(() => scrollY) - lowest) < 400, "the place that was left");
});

test("a screen reader finds days, cards and news by role and name", async () => {
  await open("/");
  const client = await context.newCDPSession(page);
  const { nodes } = await client.send("Accessibility.getFullAXTree");
  const named = (role) => nodes.filter((node) => !node.ignored && node.role?.value === role).map((node) => node.name?.value ?? "");
  assert.deepEqual(named("banner").length, 1);
  assert.deepEqual(named("main").length, 1);
  assert.ok(named("navigation").includes("Pages"));
  assert.ok(named("search").includes("Filter the timeline"));
  assert.ok(named("combobox").includes("Camera"));
  const headings = nodes.filter((node) => !node.ignored && node.role?.value === "heading")
    .map((node) => [node.properties.find((each) => each.name === "level").value.value, node.name.value]);
  assert.deepEqual(headings[0], [1, "Timeline"]);
  assert.ok(headings.slice(1).every(([level]) => level === 2) && headings.length > 1, JSON.stringify(headings));
  assert.ok(named("region").includes(headings[1][1]), "each day is a region named by its heading");
  const links = named("link").filter((name) => / at (front-door|garden)/.test(name));
  assert.ok(links.length >= 4 && links.every((name) => /^(Person|Motion) at (front-door|garden)/.test(name)), JSON.stringify(links.slice(0, 3)));
  const items = nodes.filter((node) => node.role?.value === "listitem" && !node.ignored);
  assert.ok(items.length >= 4);
  assert.ok(named("status").length >= 1, "a live region for what is new");
  // focus: skip link, brand, sign out, tabs, filters, first card
  await page.keyboard.press("Home");
  await page.evaluate(() => { document.activeElement?.blur(); });
  const order = [];
  for (let i = 0; i < 16; i++) {
    await page.keyboard.press("Tab");
    order.push(await page.evaluate(() => (document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent).trim().slice(0, 20)));
  }
  const at = (text) => order.findIndex((each) => each.startsWith(text));
  assert.ok(at("Skip to content") === 0, JSON.stringify(order));
  assert.ok(at("Timeline") > 0 && at("Camera") > at("Timeline") && at("Day") > at("Camera") && at("Persons") > at("Day"), JSON.stringify(order));
  assert.ok(order.slice(at("Persons") + 1).some((each) => /(Person|Motion) at/.test(each)), JSON.stringify(order));
});

test("light, dark and the person's own choice; no finding in any", async () => {
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const seen = {};
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    for (const [width, height, where] of [[390, 844, "phone"], [1280, 800, "desk"]]) {
      await page.setViewportSize({ width, height });
      await open("/");
      assert.deepEqual(await axe(page), [], `timeline ${scheme} ${where}`);
      await page.screenshot({ path: join(pictures, `timeline-${scheme}-${where}.png`) });
      await open("/?person=1");
      assert.deepEqual(await axe(page), [], `filtered ${scheme} ${where}`);
      await page.goto(`${hub.origin}/settings`);
      await page.getByRole("heading", { name: "How long the past is kept" }).waitFor();
      await page.getByRole("button", { name: "Erase…" }).click();
      assert.deepEqual(await axe(page), [], `settings ${scheme} ${where}`);
      await page.screenshot({ path: join(pictures, `settings-${scheme}-${where}.png`), fullPage: true });
    }
    seen[scheme] = await ground();
    assert.equal(await page.evaluate(() => [...document.getAnimations()].length), 0, "reduced motion moves nothing");
  }
  assert.notEqual(seen.light, seen.dark);
  await page.getByRole("radio", { name: "Light" }).check();
  assert.equal(await ground(), seen.light, "chosen against the system");
  await page.reload();
  await page.getByRole("heading", { name: "Settings" }).waitFor();
  assert.equal(await ground(), seen.light, "and kept");
  await page.getByRole("radio", { name: "System" }).check();
  assert.equal(await ground(), seen.dark);
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "no-preference" });
});

test("what would leave is shown before it leaves, the export arrives, and the end is the end", async () => {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(`${hub.origin}/settings`);
  await page.getByLabel("Days").fill("10");
  await page.getByRole("button", { name: "See what would be deleted" }).click();
  const said = await page.locator(".warn").textContent();
  assert.match(said, /This would delete 0 clips and 1,\d{3} events, 0 bytes, from .+ to .+\./);
  assert.deepEqual(await axe(page), [], "preview");
  const before = await page.getByText(/^Now: /).textContent();
  assert.match(before, /3,000 events/);
  await page.getByRole("button", { name: "Save and delete these" }).click();
  await page.getByText("Saved.").waitFor();
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export" }).click();
  const file = await download;
  assert.match(file.suggestedFilename(), /^porchlight-home-\d{4}-\d\d-\d\d\.zip$/);
  const listed = execFileSync("unzip", ["-l", await file.path()], { encoding: "utf8" });
  await page.getByText("The hub has sent the whole file").waitFor();
  for (const name of ["README.txt", "schema.json", "events.json", "members.json", "summary.json"]) assert.ok(listed.includes(name), name);
  await page.getByRole("button", { name: "Erase…" }).click();
  assert.ok(await page.getByRole("button", { name: "Erase it for ever" }).isDisabled());
  await page.getByLabel(/^Type/).fill("Home");
  await page.getByRole("button", { name: "Erase it for ever" }).click();
  await page.getByRole("heading", { name: "Everything is gone" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Sign in to Porchlight" }).waitFor();
  assert.deepEqual(hub.cli("user", "list").users, []);
  assert.deepEqual(bad, [], "no policy violation and no script error");
});
