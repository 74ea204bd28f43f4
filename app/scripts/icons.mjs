// Draws public/icon-192.png, icon-512.png and apple-touch-icon.png from the shapes of public/icon.svg: phones want
// bitmaps for the home screen. Run by hand (node scripts/icons.mjs) when the lamp changes; its output is committed.
import { writeFileSync } from "node:fs";
import { deflateSync } from "node:zlib";

const crcTable = Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});
const checksum = (bytes) => {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = crcTable[(sum ^ byte) & 255] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
};

const chunk = (type, data) => {
  const out = Buffer.alloc(data.length + 12);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, "latin1");
  data.copy(out, 8);
  out.writeUInt32BE(checksum(out.subarray(4, data.length + 8)), data.length + 8);
  return out;
};

function png(size, colour) {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(size, 0);
  head.writeUInt32BE(size, 4);
  head.set([8, 6, 0, 0, 0], 8);
  const rows = Buffer.alloc(size * (size * 4 + 1));
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) rows.set(colour(x, y), y * (size * 4 + 1) + 1 + x * 4);
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", head), chunk("IDAT", deflateSync(rows, { level: 9 })), chunk("IEND", Buffer.alloc(0))]);
}

// The shapes in the drawing's 64 units, each: is the point inside, its colour, its weight.
const inHouse = (x, y) => y <= 50 && x >= 20 && x <= 44 && y >= 14 + Math.abs(x - 32) * (13 / 12);
const inDisc = (radius) => (x, y) => Math.hypot(x - 32, y - 33) <= radius;
const inCord = (x, y) => Math.abs(x - 32) <= 1.25 && y >= 12.75 && y <= 24.25;
const SHAPES = [[inHouse, [0x22, 0x34, 0x5f], 1], [inDisc(11), [0xfc, 0xa3, 0x11], .28], [inDisc(6), [0xff, 0xc4, 0x5c], 1], [inCord, [0xff, 0xc4, 0x5c], 1]];

function at(x, y) {
  let colour = [0x14, 0x21, 0x3d];
  for (const [inside, paint, weight] of SHAPES)
    if (inside(x, y)) colour = colour.map((old, i) => old + (paint[i] - old) * weight);
  return colour;
}

// Full bleed: the phone cuts the corners. Sixteen samples a pixel.
for (const [name, size] of [["icon-192", 192], ["icon-512", 512], ["apple-touch-icon", 180]])
  writeFileSync(`public/${name}.png`, png(size, (px, py) => {
    const sum = [0, 0, 0];
    for (let sy = 0; sy < 4; sy++)
      for (let sx = 0; sx < 4; sx++)
        at((px + (sx + .5) / 4) * 64 / size, (py + (sy + .5) / 4) * 64 / size).forEach((value, i) => { sum[i] += value; });
    return [...sum.map((value) => Math.round(value / 16)), 255];
  }));
