// The world's most used client of MQTT over WebSocket, mqtt.js, with a client certificate: over WebSocket and over TLS alone. The
// tour is that of tests/integration/test_tours.py.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import mqtt from "mqtt";
import { Hub } from "./hub.mjs";

let hub;
before(async () => {
  hub = await new Hub().start();
  for (const name of ["alice", "bob"])
    hub.cli("service", "add", name, "--out", join(hub.top, name), "--allow", "publish,subscribe:lab/#");
  hub.cli("device", "add", "front-door", "--product", "camera", "--out", join(hub.top, "front-door"));
});
after(() => hub?.stop());

function options(name, version, more = {}) {
  const file = (part) => readFileSync(join(hub.top, name, part));
  return { ca: file("ca.pem"), cert: file("cert.pem"), key: file("key.pem"), protocolVersion: version, reconnectPeriod: 0, ...more };
}

const door = () => `wss://127.0.0.1:${hub.devicePort}/mqtt`;

for (const version of [4, 5]) {
  test(`mqtt.js tours QoS 0 and 1 over WebSocket, protocol version ${version}`, { timeout: 120000 }, async () => {
    const bob = await mqtt.connectAsync(door(), options("bob", version, { clientId: "bob/js" }));
    const alice = await mqtt.connectAsync(door(), options("alice", version, { clientId: "alice/js" }));
    const got = [];
    let enough;
    const all = new Promise((done) => (enough = done));
    bob.on("message", (topic, payload, packet) => got.push([topic, payload.toString(), packet.qos]) === 201 && enough());
    assert.deepEqual((await bob.subscribeAsync("lab/#", { qos: 1 })).map((granted) => granted.qos), [1]);
    const wanted = [];
    for (let i = 0; i < 100; i++)
      for (const qos of [0, 1]) {
        wanted.push(["lab/js", `${i} of ${qos}`, qos]);
        await alice.publishAsync("lab/js", `${i} of ${qos}`, { qos });
      }
    const large = "x".repeat(200000); // many frames' worth, and many records' of the hub
    wanted.push(["lab/large", large, 1]);
    await alice.publishAsync("lab/large", large, { qos: 1 });
    await all;
    assert.deepEqual(got, wanted);
    await Promise.all([alice.endAsync(), bob.endAsync()]);
  });
}

// Messages as they come, for tests that wait for the next one.
class Inbox {
  constructor(client) {
    this.got = [];
    client.on("message", (topic, payload, packet) => {
      this.got.push([topic, packet.qos, packet.retain, payload.toString()]);
      this.more?.();
    });
  }
  async next(count = 1) {
    while (this.got.length < count) await new Promise((done) => (this.more = done));
    return this.got.splice(0, count);
  }
}

for (const [way, url] of [["WebSocket", door], ["TLS", () => `mqtts://127.0.0.1:${hub.mqttPort}`]])
  for (const version of [4, 5]) {
    const named = (text) => `mqtt.js, version ${version} over ${way}: ${text}`;
    const open = async (who, name, more = {}) => {
      const client = mqtt.connect(url(), options(who, version, { clientId: `${who}/${way}${version}-${name}`, ...more }));
      const inbox = new Inbox(client);
      const [connack] = await once(client, "connect");
      return { client, inbox, present: connack.sessionPresent };
    };
    const lasting = { clean: false, ...(version === 5 ? { properties: { sessionExpiryInterval: 3600 } } : {}) };
    const base = `lab/${way}${version}`;

    test(named("every quality, once each"), { timeout: 120000 }, async () => {
      const bob = await open("bob", "q"), alice = await open("alice", "q");
      await bob.client.subscribeAsync(`${base}/q`, { qos: 2 });
      for (let i = 0; i < 20; i++) for (const qos of [0, 1, 2]) await alice.client.publishAsync(`${base}/q`, `${i}`, { qos });
      const got = await bob.inbox.next(60);
      for (const qos of [0, 1, 2])
        assert.deepEqual(got.filter((m) => m[1] === qos), Array.from({ length: 20 }, (_, i) => [`${base}/q`, qos, false, `${i}`]));
      await Promise.all([alice.client.endAsync(), bob.client.endAsync()]);
    });

    test(named("retained messages"), { timeout: 120000 }, async () => {
      const alice = await open("alice", "r");
      for (const text of ["old", "new"]) await alice.client.publishAsync(`${base}/r`, text, { qos: 1, retain: true });
      const bob = await open("bob", "r");
      await bob.client.subscribeAsync(`${base}/r`, { qos: 1 });
      assert.deepEqual(await bob.inbox.next(), [[`${base}/r`, 1, true, "new"]]);
      await alice.client.publishAsync(`${base}/r`, "", { qos: 1, retain: true });
      assert.deepEqual(await bob.inbox.next(), [[`${base}/r`, 1, false, ""]]);
      const late = await open("bob", "late");
      await late.client.subscribeAsync(`${base}/r`, { qos: 1 });
      await alice.client.publishAsync(`${base}/r`, "only this", { qos: 1 });
      assert.deepEqual(await late.inbox.next(), [[`${base}/r`, 1, false, "only this"]]);
      await Promise.all([alice, bob, late].map((one) => one.client.endAsync()));
    });

    test(named("a will, after a break and not after a goodbye"), { timeout: 120000 }, async () => {
      const bob = await open("bob", "w");
      await bob.client.subscribeAsync(`${base}/will`, { qos: 1 });
      const will = { topic: `${base}/will`, payload: "gone", qos: 1, retain: false };
      const polite = await open("alice", "w", { will });
      await polite.client.endAsync();
      const torn = await open("alice", "w", { will });
      torn.client.on("error", () => {});
      torn.client.stream.destroy();
      assert.deepEqual(await bob.inbox.next(), [[`${base}/will`, 1, false, "gone"]]);
      const alice = await open("alice", "s");
      await alice.client.publishAsync(`${base}/will`, "end", { qos: 1 });
      assert.deepEqual(await bob.inbox.next(), [[`${base}/will`, 1, false, "end"]]);
      await Promise.all([alice.client.endAsync(), bob.client.endAsync(), torn.client.endAsync(true)]);
    });

    test(named("a shared subscription"), { timeout: 120000 }, async () => {
      const members = [await open("bob", "m0"), await open("bob", "m1")];
      for (const member of members) await member.client.subscribeAsync(`$share/crew/${base}/s`, { qos: 1 });
      const alice = await open("alice", "m");
      for (let i = 0; i < 10; i++) await alice.client.publishAsync(`${base}/s`, `${i}`, { qos: 1 });
      const parts = await Promise.all(members.map((member) => member.inbox.next(5)));
      assert.deepEqual(parts.flat().map((m) => m[3]).sort(), Array.from({ length: 10 }, (_, i) => `${i}`));
      await Promise.all([alice, ...members].map((one) => one.client.endAsync()));
    });

    test(named("a session goes on"), { timeout: 120000 }, async () => {
      let bob = await open("bob", "l", lasting);
      assert.equal(bob.present, false);
      await bob.client.subscribeAsync(`${base}/l`, { qos: 2 });
      await bob.client.endAsync();
      const alice = await open("alice", "l");
      for (const qos of [1, 2]) await alice.client.publishAsync(`${base}/l`, `${qos}`, { qos });
      bob = await open("bob", "l", lasting);
      assert.equal(bob.present, true);
      assert.deepEqual(await bob.inbox.next(2), [1, 2].map((qos) => [`${base}/l`, qos, false, `${qos}`]));
      await alice.client.publishAsync(`${base}/l`, "live", { qos: 1 });
      assert.deepEqual(await bob.inbox.next(), [[`${base}/l`, 1, false, "live"]]);
      await Promise.all([alice.client.endAsync(), bob.client.endAsync()]);
    });
  }

test("mqtt.js is told why a revoked device may not connect", { timeout: 60000 }, async () => {
  hub.cli("device", "revoke", "front-door");
  const client = mqtt.connect(door(), options("front-door", 5, { clientId: "front-door" }));
  const [error] = await once(client, "error");
  assert.equal(error.code, 0x87);
  await client.endAsync(true);
});
