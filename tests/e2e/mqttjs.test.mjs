// MQTT over WebSocket as the world's most used client of it speaks: mqtt.js with a client certificate.
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

test("mqtt.js is told why a revoked device may not connect", { timeout: 60000 }, async () => {
  hub.cli("device", "revoke", "front-door");
  const client = mqtt.connect(door(), options("front-door", 5, { clientId: "front-door" }));
  const [error] = await once(client, "error");
  assert.equal(error.code, 0x87);
  await client.endAsync(true);
});
