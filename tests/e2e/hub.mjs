// A real hub, camera and browser for the tours: the built programs, a fresh directory, a fresh browser profile that
// trusts this hub's web CA and nothing else of ours.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const root = resolve(fileURLToPath(import.meta.url), "../../..");
const build = process.env.PORCHLIGHT_BUILD ?? join(root, "build/release");
const bin = (name) => join(build, "bin", name);

export class Hub {
  constructor() {
    this.top = mkdtempSync(join(tmpdir(), "porchlight-e2e-"));
    this.dir = join(this.top, "hub");
    this.log = [];
  }

  cli(...words) {
    return JSON.parse(execFileSync(bin("porchlight"), ["-C", this.dir, ...words, "--json"], { encoding: "utf8" }));
  }

  // `configure` may write to hub.conf, whose path it is given, before the hub starts.
  async start(configure = () => undefined) {
    execFileSync(bin("porchlight"), ["init", this.dir, "--mqtt-port", "0", "--device-port", "0", "--https-port", "0", "--bind", "127.0.0.1"]);
    configure(join(this.dir, "hub.conf"));
    return this.serve();
  }

  // Stops the hub, does something to its directory, and starts it on the port that it had.
  async restart(meanwhile) {
    const ended = new Promise((done) => this.process.on("exit", done));
    this.process.kill("SIGTERM");
    await ended;
    meanwhile();
    const conf = join(this.dir, "hub.conf");
    writeFileSync(conf, readFileSync(conf, "utf8").replace(/^hub\.https_port = .*$/m, `hub.https_port = ${this.port}`));
    return this.serve();
  }

  async serve() {
    this.process = spawn(bin("porchlightd"), [this.dir], { stdio: ["ignore", "pipe", "pipe"] });
    createInterface({ input: this.process.stderr }).on("line", (line) => this.log.push(line));
    const ready = await new Promise((done, fail) => {
      createInterface({ input: this.process.stdout }).on("line", (line) => line.startsWith("ready ") && done(line));
      this.process.on("exit", (code) => fail(new Error(`the hub ended with ${code}:\n${this.log.slice(-15).join("\n")}`)));
    });
    this.port = /https=(\d+)/.exec(ready)[1];
    this.devicePort = /device=(\d+)/.exec(ready)[1];
    this.mqttPort = /mqtt=(\d+)/.exec(ready)[1];
    this.origin = `https://localhost:${this.port}`;
    return this;
  }

  camera(name, film, ...options) {
    const folder = join(this.top, name);
    this.cli("device", "add", name, "--product", "camera", "--out", folder);
    const camera = spawn(bin("porchlight-camera"), [folder, "--source", film, ...options], { stdio: ["ignore", "ignore", "pipe"] });
    camera.lines = [];
    createInterface({ input: camera.stderr }).on("line", (line) => camera.lines.push(line));
    this.cameras = [...(this.cameras ?? []), camera];
    return camera;
  }

  // Browsers too: one that a test which ran out of time has left would keep this process from ending.
  async stop() {
    for (const context of this.browsers ?? []) await context.close().catch(() => undefined);
    const gone = (child) => child.exitCode !== null || child.signalCode !== null || new Promise((done) => child.on("exit", done));
    for (const child of [...(this.cameras ?? []), this.process]) {
      child?.kill("SIGTERM");
      if (child) await gone(child);
    }
    rmSync(this.top, { recursive: true, force: true });
  }
}

export function film(name) {
  const folder = execFileSync(join(root, "tools/fetch-video"), { encoding: "utf8" }).trim().split("\n").pop();
  return join(folder, name);
}

// A browser whose profile's NSS database holds the hub's web CA: certificate errors stay errors.
export async function browser(hub, viewport) {
  const home = mkdtempSync(join(hub.top, "browser-"));
  const database = join(home, ".pki/nssdb");
  execFileSync("mkdir", ["-p", database]);
  execFileSync("certutil", ["-d", `sql:${database}`, "-N", "--empty-password"]);
  execFileSync("certutil", ["-d", `sql:${database}`, "-A", "-t", "C,,", "-n", "porchlight", "-i", join(hub.dir, "tls/web-ca.pem")]);
  const quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--autoplay-policy=no-user-gesture-required"];
  const context = await chromium.launchPersistentContext(join(home, "profile"), {
    executablePath: "/usr/bin/chromium", headless: true, viewport, env: { ...process.env, HOME: home },
    args: process.getuid() === 0 ? [...quiet, "--no-sandbox"] : quiet,
  });
  hub.browsers = [...(hub.browsers ?? []), context];
  context.setDefaultTimeout(120000);
  return context;
}

const axeSource = readFileSync(join(root, "tests/e2e/node_modules/axe-core/axe.min.js"), "utf8");

// Every accessibility finding of the page as it comes to rest, as short texts; none is the aim. A button on its way from one colour to
// another has a contrast that nobody sees; what moves without end does not count.
export async function axe(page) {
  await page.evaluate(() => Promise.allSettled(document.getAnimations()
    .filter((each) => each.effect.getComputedTiming().iterations !== Infinity).map((each) => each.finished)));
  await page.evaluate(axeSource);
  const result = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return result.violations.map((each) => `${each.id}: ${each.nodes.map((node) => node.target.join(" ")).join(", ")}`);
}

// Collects what the page must never do: break its own policy, or throw.
export async function watch(context) {
  const bad = [];
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => console.error(`CSP ${event.violatedDirective} ${event.blockedURI}`));
  });
  context.on("page", (page) => listen(page));
  context.pages().forEach((page) => listen(page));
  function listen(page) {
    page.on("pageerror", (error) => bad.push(`error: ${error.message}`));
    page.on("console", (message) => /CSP|Content Security Policy|Trusted/i.test(message.text()) && bad.push(message.text()));
  }
  return bad;
}
