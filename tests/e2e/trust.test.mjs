// The page that walks a phone through trusting the hub, before anybody has signed in.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { axe, browser, Hub, root, watch } from "./hub.mjs";

const shots = join(root, "build/e2e-shots");
let hub, context, bad;

before(async () => {
  mkdirSync(shots, { recursive: true });
  hub = await new Hub().start();
  context = await browser(hub, { width: 390, height: 844 });
  bad = await watch(context);
});
after(async () => {
  await context?.close();
  await hub?.stop();
});

test("the page names the authority, what to compare, and what does not work until then", async () => {
  const page = await context.newPage();
  await page.goto(`${hub.origin}/trust`);
  await page.getByRole("heading", { name: "Trust this hub" }).waitFor();
  await page.getByRole("heading", { name: "1. Compare" }).waitFor();
  const text = (await page.locator("main").innerText()).replace(/\s+/g, " ");
  const fingerprint = hub.cli("status").trust.sha256;
  assert.equal((await page.locator(".fingerprint code").allInnerTexts()).join(" "), fingerprint.replaceAll(":", " "));
  for (const word of ["push messages", "installing the page as an app", "passkeys", "localhost"]) assert.ok(text.includes(word), word);
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const details of await page.locator("details").all()) await details.evaluate((each) => { each.open = true; });
    assert.deepEqual(await axe(page), [], scheme);
    await page.screenshot({ path: join(shots, `trust-${scheme}.png`), fullPage: true });
  }
  assert.deepEqual(bad, []);
});

test("the steps of the device at hand are open and lead to its file", async () => {
  const devices = [
    ["Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148 Safari/604.1", "iPhone and iPad", "/porchlight.mobileconfig"],
    ["Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36", "Android", "/web-ca.crt"],
  ];
  for (const [agent, title, href] of devices) {
    const page = await context.newPage();
    await page.addInitScript((told) => Object.defineProperty(navigator, "userAgent", { get: () => told }), agent);
    await page.goto(`${hub.origin}/trust`);
    const open = page.locator("details[open]");
    await open.waitFor();
    assert.equal(await open.count(), 1);
    assert.match(await open.locator("summary").innerText(), new RegExp(`^${title} \\(this device\\)`));
    assert.equal(await open.locator("a.button").getAttribute("href"), href);
    await page.close();
  }
});

test("what is downloaded there is the authority that the fingerprint belongs to", async () => {
  const page = await context.newPage();
  await page.goto(`${hub.origin}/trust`);
  await page.getByText("Computer (this device)").waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("details[open] a.button").click()]);
  assert.equal(download.suggestedFilename(), "porchlight-web-ca.crt");
  const told = execFileSync("openssl", ["x509", "-in", await download.path(), "-noout", "-fingerprint", "-sha256"], { encoding: "utf8" });
  assert.equal(told.trim().split("=")[1], hub.cli("status").trust.sha256);
});

test("the sign-in page leads there", async () => {
  const page = await context.newPage();
  await page.goto(hub.origin);
  await page.getByRole("link", { name: "Trust this hub" }).click();
  await page.getByRole("heading", { name: "Trust this hub" }).waitFor();
});
