// The household's devices: who is there, when each was last seen, and when its certificate ends.
import { useEffect, useState } from "preact/hooks";
import { useAnswers } from "../answers";
import { api, type Device, type User } from "../api";
import { live } from "../live";
import { Alert, Notice } from "../parts/notice";
import { ago, full } from "../when";

function seen(device: Device, zone: string) {
  if (device.online) return "connected now";
  if (!device.last_seen_ms) return "never connected";
  return <>last seen <time dateTime={new Date(device.last_seen_ms).toISOString()} title={full(device.last_seen_ms, zone)}>{ago(device.last_seen_ms)}</time></>;
}

// Where the device stands with its update, in words.
function updating({ update }: Device) {
  if (!update) return null;
  const to = update.target && update.target !== update.running ? ` to ${update.target}` : "";
  const words: Record<string, string> = {
    waiting: `update${to} waits`, downloading: `downloading the update${to}`, staged: `update${to} is ready to start`, trial: `trying the update${to}`,
    good: "", "rolled-back": `update${to} was rolled back`, refused: `update${to} was refused`, failed: `update${to} failed`,
    unfit: "", // meant for others
  };
  const word = words[update.state] ?? update.state;
  return <p class="hint" data-update={update.state}>Version {update.running}{word && ` · ${word}`}{word && update.reason && `: ${update.reason}`}</p>;
}

function Row({ device, zone }: { device: Device; zone: string }) {
  const revoked = device.state === "revoked";
  return (
    <li class="device" data-device={device.id}>
      <span class={device.online ? "dot dot-on" : "dot"} aria-hidden="true" />
      <div>
        <h2>{device.id}</h2>
        <p>{device.product} · {revoked ? "revoked" : seen(device, zone)}</p>
        {!revoked && updating(device)}
        {!revoked && <p><a href={`/devices/${encodeURIComponent(device.id)}`}>Privacy and zones of {device.id}</a></p>}
        {!revoked && device.certificate_ends_ms !== null && <p class="hint">Certificate ends {full(device.certificate_ends_ms, zone)}</p>}
      </div>
    </li>
  );
}

export function DevicesPage({ user }: { user: User }) {
  const [devices, setDevices] = useState<Device[] | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const answers = useAnswers();
  useEffect(() => {
    document.title = "Devices · Porchlight";
    const load = () => void answers.latest(api.devices(), setDevices, (failed) => setWrong(failed.message));
    load();
    const stops = [live.on("device", load), live.onReturn(load)];
    return () => stops.forEach((stop) => stop());
  }, []);
  if (!devices) return wrong ? <Alert text={wrong} /> : <p class="waiting" role="status">Loading the devices…</p>;
  if (devices.length === 0)
    return (
      <Notice title="No devices yet">
        <p>Give the first one an identity on the hub's machine:</p>
        <pre tabIndex={0}>porchlight -C DIR device add front-door --product camera --out front-door</pre>
        <p>Copy the folder to the device and start its program with it. It shows here once it connects.</p>
      </Notice>
    );
  return (
    <>
      <h1>Devices</h1>
      <ul class="devices">{devices.map((device) => <Row key={device.id} device={device} zone={user.timezone} />)}</ul>
    </>
  );
}
