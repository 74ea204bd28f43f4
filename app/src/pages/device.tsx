// One camera: privacy, and the zones in which motion does not count. What is shown as so is what the camera reported;
// what was only asked for is pending.
import { useEffect, useState } from "preact/hooks";
import { useAnswers } from "../answers";
import { api, type Problem, type Settings, type User, type Zone } from "../api";
import { live } from "../live";
import { Alert } from "../parts/notice";
import { Zones } from "../parts/zones";
import { full } from "../when";

function captureWords(settings: Settings): string {
  const said = settings.reported;
  if (!said) return "This camera has not reported yet; it may be too old for these settings, or has never connected.";
  if (said.privacy && said.capture === "stopped") return "Private: the camera captures nothing.";
  if (said.capture === "waiting") return "Not private. The camera waits for its picture source.";
  return "Not private: the camera watches.";
}

function Privacy({ settings, change }: { settings: Settings; change: (on: boolean) => void }) {
  const wished = settings.desired?.privacy ?? settings.reported?.privacy ?? false;
  const pending = wished !== (settings.reported?.privacy ?? false);
  return (
    <section class="card" aria-labelledby="privacy">
      <h2 id="privacy">Privacy</h2>
      <button type="button" role="switch" class="switch" aria-checked={wished} onClick={() => change(!wished)}>
        <span class="switch-knob" aria-hidden="true" />Privacy mode
      </button>
      <p role="status" class="state" data-state={pending ? "pending" : settings.reported?.privacy ? "private" : "open"}>
        {pending ? `Pending: the camera has not confirmed that privacy is ${wished ? "on" : "off"}. ` : ""}{captureWords(settings)}
      </p>
      <p class="hint">The camera closes its source: nothing is recorded, seen or sent. It stays private through restarts, also without the hub.</p>
    </section>
  );
}

function Release({ id }: { id: string }) {
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [gone, setGone] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const release = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setWrong(null);
    try {
      await api.release(id, typed);
      setGone(true);
    } catch (failed) {
      setWrong((failed as Problem).message);
      setBusy(false);
    }
  };
  return (
    <section class="card" aria-labelledby="release">
      <h2 id="release">Give this device away</h2>
      <p>Its clips, events and notifications are deleted for ever, and it can no longer connect. Its next owner claims it like a new one.</p>
      {gone && <p role="status">{id} is released. <a href="/devices">All devices</a></p>}
      {!gone && !open && <button type="button" class="button quiet wide" onClick={() => setOpen(true)}>Release…</button>}
      {!gone && open && (
        <form onSubmit={release}>
          <div class="field">
            <label for="release-name">Type “{id}” to go on</label>
            <input id="release-name" autocomplete="off" autocapitalize="none" spellcheck={false} required value={typed}
              onInput={(input) => setTyped(input.currentTarget.value)} />
          </div>
          <Alert text={wrong} />
          <button type="submit" class="button danger wide" disabled={busy || typed !== id}>{busy ? "Releasing…" : "Release it for ever"}</button>
          <button type="button" class="button quiet wide" disabled={busy} onClick={() => setOpen(false)}>Keep it</button>
        </form>
      )}
    </section>
  );
}

// Zones changed here and not saved yet, and what they were made from.
interface Edit { zones: Zone[]; from: string; base: number }

const CHANGED = "Somebody else has changed these zones meanwhile. This is what they are now: change them again and save.";

const wishedZones = (settings: Settings) => settings.desired?.ignore ?? settings.reported?.ignore ?? [];
const versionOf = (settings: Settings) => settings.desired?.version ?? 0;

export function DevicePage({ id, user }: { id: string; user: User }) {
  const [settings, setSettings] = useState<Settings | null>(null);
  const [edit, setEdit] = useState<Edit | null>(null); // null: as the hub has them
  const [wrong, setWrong] = useState<string | null>(null);
  const answers = useAnswers();
  useEffect(() => {
    document.title = `${id} · Porchlight`;
    const load = () => void answers.latest(api.settings(id), setSettings, (failed) => setWrong(failed.message));
    load();
    const stops = [live.on("device", (news) => { if (news.id === id) load(); }), live.onReturn(load)];
    return () => stops.forEach((stop) => stop());
  }, [id]);
  if (!settings) return wrong ? <Alert text={wrong} /> : <p class="waiting" role="status">Loading the settings…</p>;
  const act = (what: Promise<Settings>) => what.then((now) => { setSettings(now); setWrong(null); return now; }, (failed: Error) => setWrong(failed.message));
  const wished = wishedZones(settings);
  const zones = edit && edit.zones;
  const change = (now: Zone[]) => setEdit({ from: JSON.stringify(wished), base: versionOf(settings), ...edit, zones: now });
  const same = JSON.stringify(wished) === JSON.stringify(settings.reported?.ignore ?? []);
  // A newer version in which the zones are the same (privacy was switched) is as good as the one they were made from.
  const save = async () => {
    if (!edit) return;
    try {
      setSettings(await api.zones(id, edit.zones, JSON.stringify(wished) === edit.from ? versionOf(settings) : edit.base));
      setWrong(null);
      setEdit(null);
    } catch (failed) {
      const problem = failed as Problem;
      setWrong(problem.status === 409 ? CHANGED : problem.message);
      if (problem.status !== 409) return;
      setEdit(null);
      void answers.latest(api.settings(id), setSettings, (again) => setWrong(again.message));
    }
  };
  return (
    <>
      <p><a href="/devices">All devices</a></p>
      <h1>{id}</h1>
      <Alert text={wrong} />
      <Privacy settings={settings} change={(on) => void act(api.privacy(id, on))} />
      <section class="card" aria-labelledby="zones">
        <h2 id="zones">Zones to ignore</h2>
        <p>Motion inside these zones starts no event: a street, a tree in the wind, a neighbour's door.</p>
        <Zones picture={settings.picture} zones={zones ?? wished} most={settings.most_zones} onChange={change} />
        <div class="actions zones-save">
          <button type="button" class="button" disabled={!zones} onClick={() => void save()}>Save zones</button>
          {zones && <button type="button" class="plain" onClick={() => setEdit(null)}>Undo changes</button>}
        </div>
        <p role="status" class="state" data-state={zones ? "changed" : same ? "applied" : "pending"}>
          {zones ? "Changed here and not saved yet."
            : same ? (settings.reported ? `Applied by the camera, ${full(settings.reported.at_ms, user.timezone)}.` : "Nothing is set.")
              : "Pending: the camera has not applied these zones yet."}
        </p>
      </section>
      {user.role === "owner" && <Release id={id} />}
    </>
  );
}
