// What reaches the person while the page is closed: this browser, the others, cameras snoozed, quiet hours.
import { useEffect, useState } from "preact/hooks";
import { api, type Device, type Push, type User } from "../api";
import { Alert } from "../parts/notice";
import { known, pushState, subscribe, unsubscribe, type PushState } from "../push";
import { clock, full } from "../when";

const WORDS: Record<PushState, string> = {
  unsupported: "This browser cannot receive push messages. On an iPhone or iPad, add the page to the home screen and open it there.",
  untrusted: "This browser does not trust the hub's certificate, so it lets the page receive nothing while closed. Install the hub's authority first.",
  denied: "Notifications of this page are blocked in the browser's settings. Allow them there, then come back.",
  off: "This browser is not told anything while the page is closed.",
  other: "This browser is told for somebody else, or no longer knows for whom. It stays so until you take it over; then it tells you, and them no more.",
  on: "This browser is told when somebody is seen, also while the page is closed.",
};
const SNOOZES = [15, 30, 60];

// The hub names no service when its operator no longer allows it: nothing is sent there.
const serviceOf = (service: string): string => (service ? new URL(service).hostname : "A push service that is not allowed any more");

function ThisBrowser({ state, push, name, act }: { state: PushState; push: Push; name: string; act: (what: () => Promise<unknown>) => void }) {
  return (
    <section class="card" aria-labelledby="push-here">
      <h2 id="push-here">This browser</h2>
      <p role="status" data-push={state}>{WORDS[state]}</p>
      {state === "off" && <button class="button" type="button" onClick={() => act(() => subscribe(push.key, name))}>Tell this browser</button>}
      {state === "other" && <button class="button" type="button" onClick={() => act(() => subscribe(push.key, name))}>Tell me in this browser</button>}
      {state === "on" && <button class="button quiet" type="button" onClick={() => act(unsubscribe)}>Stop telling this browser</button>}
    </section>
  );
}

function Browsers({ push, here, zone, act }: { push: Push; here: string | null; zone: string; act: (what: () => Promise<unknown>) => void }) {
  if (push.subscriptions.length === 0) return null;
  return (
    <section class="card" aria-labelledby="push-all">
      <h2 id="push-all">Browsers that are told</h2>
      <ul class="rows">
        {push.subscriptions.map((one) => (
          <li key={one.id}>
            <span>{one.id === here ? "This browser" : serviceOf(one.service)}, since {full(one.created_ms, zone)}{one.muted && ". Signed out: told of your account only, until you sign in there again."}</span>
            {one.id !== here && (
              <button class="button quiet" type="button" onClick={() => act(() => api.unsubscribe(one.id))}
                aria-label={`Stop telling the browser of ${full(one.created_ms, zone)}`}>Stop</button>
            )}
          </li>
        ))}
      </ul>
      <button class="button quiet" type="button" onClick={() => act(api.testPush)}>Send a test message</button>
    </section>
  );
}

function Snoozes({ devices, push, zone, act }: { devices: Device[]; push: Push; zone: string; act: (what: () => Promise<unknown>) => void }) {
  if (devices.length === 0) return null;
  return (
    <section class="card" aria-labelledby="snoozes">
      <h2 id="snoozes">Snooze a camera</h2>
      <ul class="rows">
        {devices.map((device) => {
          const snooze = push.snoozes.find((one) => one.device === device.id);
          return (
            <li key={device.id} data-snooze={device.id}>
              <span>{device.id}{snooze && `, quiet until ${clock(snooze.until_ms, zone)}`}</span>
              {snooze
                ? <button class="button quiet" type="button" onClick={() => act(() => api.snooze(device.id, 0))} aria-label={`End the snooze of ${device.id}`}>End</button>
                : <span class="choices">{SNOOZES.map((minutes) => (
                    <button key={minutes} class="button quiet" type="button" onClick={() => act(() => api.snooze(device.id, minutes))}
                      aria-label={`${minutes} min: snooze ${device.id}`}>{minutes} min</button>
                  ))}</span>}
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function Quiet({ push, zone, act }: { push: Push; zone: string; act: (what: () => Promise<unknown>) => void }) {
  const [begins, setBegins] = useState(push.quiet?.begins ?? "22:00");
  const [ends, setEnds] = useState(push.quiet?.ends ?? "07:00");
  return (
    <section class="card" aria-labelledby="quiet">
      <h2 id="quiet">Quiet hours</h2>
      <p class="hint">{push.quiet ? `No push from ${push.quiet.begins} to ${push.quiet.ends}` : "None set"}, by the clock of {zone}. The timeline shows everything all the same.</p>
      <form onSubmit={(submit) => { submit.preventDefault(); act(() => api.quiet(begins, ends)); }}>
        <div class="field"><label for="quiet-begins">From</label>
          <input id="quiet-begins" type="time" required value={begins} onInput={(input) => setBegins(input.currentTarget.value)} /></div>
        <div class="field"><label for="quiet-ends">Until</label>
          <input id="quiet-ends" type="time" required value={ends} onInput={(input) => setEnds(input.currentTarget.value)} /></div>
        <button class="button" type="submit">Keep these hours</button>{" "}
        {push.quiet && <button class="button quiet" type="button" onClick={() => act(() => api.quiet("00:00", "00:00"))}>No quiet hours</button>}
      </form>
    </section>
  );
}

export function NotificationsPage({ user }: { user: User }) {
  const [state, setState] = useState<PushState>("off");
  const [push, setPush] = useState<Push | null>(null);
  const [here, setHere] = useState<string | null>(null);
  const [devices, setDevices] = useState<Device[]>([]);
  const [wrong, setWrong] = useState<string | null>(null);

  const load = async () => {
    const [now, all] = await Promise.all([pushState(user.name), api.devices()]);
    setHere(now === "on" ? await known() : null);
    setPush(await api.push());
    setState(now);
    setDevices(all.filter((device) => device.state !== "revoked"));
  };
  useEffect(() => {
    document.title = "Notifications · Porchlight";
    load().catch((failed: Error) => setWrong(failed.message));
  }, []);
  const act = (what: () => Promise<unknown>) => {
    setWrong(null);
    what().then(load).catch((failed: Error) => setWrong(failed.message));
  };

  if (!push) return wrong ? <Alert text={wrong} /> : <p class="waiting" role="status">Loading the settings…</p>;
  return (
    <>
      <h1>Notifications</h1>
      <Alert text={wrong} />
      <ThisBrowser state={state} push={push} name={user.name} act={act} />
      <Browsers push={push} here={here} zone={user.timezone} act={act} />
      <Snoozes devices={devices} push={push} zone={user.timezone} act={act} />
      <Quiet push={push} zone={user.timezone} act={act} />
    </>
  );
}
