// The browser's part of bench/timeline.py: opens the timeline anew LOADS times, then scrolls through EVENTS events as a thumb does
// and watches the frames. Prints one JSON line. A phone of 390 by 844.
import { browser } from "../tests/e2e/hub.mjs";

const [top, dir, port, cookie, events, loads] = process.argv.slice(2);
const origin = `https://localhost:${port}`;
const context = await browser({ top, dir }, { width: 390, height: 844 });
const [name, value] = cookie.split(/=(.*)/s);
await context.addCookies([{ name, value, domain: "localhost", path: "/", secure: true, httpOnly: true, sameSite: "Strict" }]);
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

const paints = [], cards = [];
let page;
for (let i = 0; i <= Number(loads); i++) { // the first one warms the browser's cache and is not counted
  await page?.close();
  page = await context.newPage();
  await page.addInitScript(() => {
    const look = () => {
      if (document.querySelectorAll("li.event").length > 0 && !globalThis.firstCards) globalThis.firstCards = performance.now();
      if (!globalThis.firstCards) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  await page.setViewportSize({ width: 390, height: 2600 }); // high enough that twenty cards stand at once
  await page.goto(`${origin}/`);
  await page.waitForFunction(() => document.querySelectorAll("li.event").length >= 20);
  const seen = await page.evaluate(() => ({ paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0, cards: globalThis.firstCards }));
  if (i > 0) { paints.push(seen.paint); cards.push(seen.cards); }
}

await page.setViewportSize({ width: 390, height: 844 });
await page.evaluate(() => scrollTo(0, 0));
const rolled = await page.evaluate(async (wanted) => {
  const frames = [];
  let most = 0, last = performance.now(), stuck = 0;
  const row = 122; // a card and its gap
  while (scrollY < wanted * row && stuck < 600) {
    const before = scrollY;
    scrollBy({ top: 400, behavior: "instant" });
    await new Promise((next) => requestAnimationFrame(next));
    const now = performance.now();
    frames.push(now - last);
    last = now;
    most = Math.max(most, document.querySelectorAll("*").length);
    stuck = scrollY === before ? stuck + 1 : 0; // the next page is on its way
  }
  frames.sort((a, b) => a - b);
  return { scrolled: Math.round(scrollY / row), longest: frames[frames.length - 1], p99: frames[Math.floor(frames.length * 0.99)], most,
    heap: performance.memory ? performance.memory.usedJSHeapSize / 1e6 : 0 };
}, Number(events));
console.log(JSON.stringify({ paint_ms: median(paints), cards_ms: median(cards), scrolled: rolled.scrolled, longest_frame_ms: rolled.longest,
  frame_p99_ms: rolled.p99, most_elements: rolled.most, heap_mb: rolled.heap }));
await context.close();
