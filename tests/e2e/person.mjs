// What a person does before every tour: takes a link to an account of one's own; and what each page of a tour is held to.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { axe, root } from "./hub.mjs";

export const PASSWORD = "Gate-lamp-Otter-rides-7-trams";
export const pictures = join(root, "build/e2e");
mkdirSync(pictures, { recursive: true });

// oathtool is not ours: an oracle for the codes. `when` as oathtool understands it.
export const codeAt = (secret, when = "now") => execFileSync("oathtool", ["--totp", "-b", secret, "--now", when], { encoding: "utf8" }).trim();

// A picture to look at, and no finding about the page's accessibility.
export async function clean(page, name) {
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
  assert.deepEqual(await axe(page), [], `accessibility of ${name}`);
}

// By a setup link or an invitation, which lead to the same page. Gives the secret of the second factor and the recovery codes.
export async function joins(page, url, name = "robin", password = PASSWORD) {
  await page.goto(url);
  await page.getByLabel("Name to sign in with").fill(name);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Continue" }).click();
  const secret = (await page.locator(".secret").textContent()).replace(/\s/g, "");
  await page.getByLabel("Code from your authenticator app").fill(codeAt(secret));
  await page.getByRole("button", { name: "Finish" }).click();
  await page.getByRole("heading", { name: "Keep your recovery codes" }).waitFor();
  const recovery = await page.locator(".codes code").allTextContents();
  await page.getByLabel("I have kept them").check();
  await page.getByRole("button", { name: "Open Porchlight" }).click();
  await page.getByText("Live", { exact: true }).waitFor();
  return { secret, recovery };
}
