// How the page looks in this browser; and, for the household's owner, its data: how long it is kept, all of it as a file, its end.
import { useEffect, useRef, useState } from "preact/hooks";
import { useAnswers } from "../answers";
import { api, Problem, type ExportState, type Household, type KeptSum, type User } from "../api";
import { live } from "../live";
import { Alert } from "../parts/notice";
import { size } from "../size";
import { chooseTheme, theme, type Theme } from "../theme";
import { date } from "../when";

const THEMES: [Theme, string][] = [["system", "System"], ["light", "Light"], ["dark", "Dark"]];
const GB = 1_000_000_000;

function Appearance() {
  const [now, setNow] = useState(theme());
  const choose = (next: Theme) => {
    chooseTheme(next);
    setNow(next);
  };
  return (
    <section class="card" aria-labelledby="appearance">
      <h2 id="appearance">Appearance</h2>
      <fieldset class="segments">
        <legend class="hidden">In this browser</legend>
        {THEMES.map(([key, name]) => (
          <label key={key}><input type="radio" name="theme" checked={now === key} onChange={() => choose(key)} />{name}</label>
        ))}
      </fieldset>
    </section>
  );
}

const many = (count: number, one: string, more: string) => `${count.toLocaleString()} ${count === 1 ? one : more}`;

// "214 clips and 350 events, 1.2 GB, from 3 May 2026 to 9 June 2026"
function words(sum: KeptSum, zone: string): string {
  if (sum.clips + sum.events === 0) return "nothing";
  const span = sum.from_ms !== null && sum.to_ms !== null ? `, from ${date(sum.from_ms, zone)} to ${date(sum.to_ms, zone)}` : "";
  return `${many(sum.clips, "clip", "clips")} and ${many(sum.events, "event", "events")}, ${size(sum.bytes)}${span}`;
}

interface Wish { days: string; bytes: string }

// A limit is chosen, looked at, and only then kept: the very one that was looked at.
function Keep({ home, onSaved }: { home: Household; onSaved: () => void }) {
  const [days, setDays] = useState(home.keep.days ? String(home.keep.days) : "");
  const [gigabytes, setGigabytes] = useState(home.keep.bytes ? String(home.keep.bytes / GB) : "");
  const [preview, setPreview] = useState<{ wish: Wish; sum: KeptSum } | null>(null);
  const [said, setSaid] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const answers = useAnswers();
  const fail = (failed: Error) => setWrong(failed.message);
  const look = (event: Event) => {
    event.preventDefault();
    setSaid("");
    const wish = { days: String(Math.round(Number(days || 0))), bytes: String(Math.round(Number(gigabytes || 0) * GB)) };
    void answers.latest(api.previewKeep(wish), (sum) => { setWrong(null); setPreview({ wish, sum }); }, fail);
  };
  const save = (wish: Wish) => void answers.of(api.setKeep(wish), () => {
    setWrong(null);
    setPreview(null);
    setSaid("Saved. What is past its time leaves in the next moments.");
    onSaved();
  }, fail);
  const change = (set: (text: string) => void) => (input: { currentTarget: HTMLInputElement }) => {
    set(input.currentTarget.value);
    answers.drop();
    setPreview(null);
  };
  const leaves = preview !== null && preview.sum.clips + preview.sum.events > 0;
  return (
    <section class="card" aria-labelledby="keep">
      <h2 id="keep">How long the past is kept</h2>
      <p>Now: {words(home.now, home.timezone)}.</p>
      <form onSubmit={look}>
        <div class="pair">
          <div class="field">
            <label for="keep-days">Days</label>
            <input id="keep-days" type="number" inputMode="numeric" min="1" step="1" {...(home.hub.days ? { max: home.hub.days } : {})}
              placeholder={home.hub.days ? String(home.hub.days) : "any"} value={days} aria-describedby="keep-hint" onInput={change(setDays)} />
          </div>
          <div class="field">
            <label for="keep-size">Gigabytes</label>
            <input id="keep-size" type="number" inputMode="decimal" min={home.hub.clip_bytes / GB} max={home.hub.bytes / GB} step="any"
              placeholder={String(Math.floor(home.hub.bytes / GB))} value={gigabytes} aria-describedby="keep-hint" onInput={change(setGigabytes)} />
          </div>
        </div>
        <p id="keep-hint" class="hint">Empty is as the hub has it{home.hub.days ? `: ${home.hub.days} days` : ""}. With gigabytes the oldest leaves when
          a new clip needs room; without, new clips are refused once {size(home.hub.bytes)} are full.</p>
        <Alert text={wrong} />
        <div role="status">
          {said && <p>{said}</p>}
          {preview && (leaves ? <p class="warn">This would delete {words(preview.sum, home.timezone)}.</p> : <p>Nothing would be deleted.</p>)}
        </div>
        {preview
          ? <button type="button" class={leaves ? "button danger wide" : "button wide"} onClick={() => save(preview.wish)}>
            {leaves ? "Save and delete these" : "Save"}</button>
          : <button type="submit" class="button quiet wide">See what would be deleted</button>}
      </form>
    </section>
  );
}

const ENDS: Record<"none" | "lapsed" | "broken", string> = {
  none: "The export broke off: the hub has started anew, or something that it was to hold was erased. What your browser has of it is not whole; export once more.",
  lapsed: "Your browser did not fetch the export, so there is no file. Export once more.",
  broken: "The export broke off. What your browser has of it is not whole; export once more.",
};

// The browser's own download takes the file; the hub tells how far it is, and whether all of it was sent.
function Export() {
  const [now, setNow] = useState<ExportState | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const watched = useRef(0); // which order; another one, or leaving the page, ends the watch
  useEffect(() => () => { watched.current++; }, []);
  const watch = async () => {
    const own = ++watched.current;
    while (own === watched.current) {
      try {
        const state = await api.exportState();
        setNow(state);
        setWrong(null);
        if (state.stage !== "ordered" && state.stage !== "running") return;
      } catch (failed) {
        setWrong(`Whether the file is whole is not known. ${(failed as Problem).message}`);
        if ((failed as Problem).status === 401) return;
      }
      await new Promise((soon) => setTimeout(soon, 500));
    }
  };
  const begin = async () => {
    setWrong(null);
    setNow(null);
    try {
      const url = await api.orderExport();
      const link = document.createElement("a");
      link.href = url;
      link.download = "";
      link.click();
      await watch();
    } catch (failed) {
      setWrong((failed as Problem).message);
    }
  };
  const stage = now?.stage;
  return (
    <section class="card" aria-labelledby="export">
      <h2 id="export">Take all of it with you</h2>
      <p>One ZIP file: clips that play anywhere, pictures, events, notifications, devices and people as JSON, with a description. It is not
        encrypted: keep it well.</p>
      <Alert text={wrong ?? (stage === "none" || stage === "lapsed" || stage === "broken" ? ENDS[stage] : null)} />
      <div role="status">
        {now && stage === "running" && (
          <>
            <progress aria-label="Export" max={Math.max(now.events, 1)} value={now.events_done} />
            <p class="hint">{now.events_done.toLocaleString()} of {now.events.toLocaleString()} events, {size(now.bytes_sent)}</p>
          </>
        )}
        {stage === "ordered" && <p>The file waits for your browser to fetch it.</p>}
        {now && stage === "whole" && <p>The hub has sent the whole file, {size(now.bytes_sent)}. Look at it among your browser's downloads before you erase anything.</p>}
      </div>
      <button type="button" class="button quiet wide" disabled={stage === "running"} onClick={() => void begin()}>{stage === "running" ? "Exporting…" : "Export"}</button>
    </section>
  );
}

function Erase({ home, onGone }: { home: Household; onGone: () => void }) {
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const erase = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setWrong(null);
    // The sign-in ends with the household, and the stream's end would lead to the sign-in page before the answer is here.
    live.stop();
    try {
      await api.eraseHousehold(typed);
      onGone();
    } catch (failed) {
      const { status, message } = failed as Problem;
      const refused = status >= 400 && status < 500;
      if (refused && status !== 401) live.start();
      setWrong(refused ? message : `The household may be erased in part, or wholly; load the page anew to see what is left. What went wrong: ${message}`);
      setBusy(false);
    }
  };
  return (
    <section class="card" aria-labelledby="erase">
      <h2 id="erase">Erase this household</h2>
      <p>Its people, devices, clips, events and notifications, for ever, from every file of the hub. Devices can no longer connect.
        Backups that were made before are not reached.</p>
      {!open && <button type="button" class="button quiet wide" onClick={() => setOpen(true)}>Erase…</button>}
      {open && (
        <form onSubmit={erase}>
          <div class="field">
            <label for="erase-name">Type “{home.name}” to go on</label>
            <input id="erase-name" autocomplete="off" spellcheck={false} required value={typed} onInput={(input) => setTyped(input.currentTarget.value)} />
          </div>
          <Alert text={wrong} />
          <button type="submit" class="button danger wide" disabled={busy || typed !== home.name}>{busy ? "Erasing…" : "Erase it for ever"}</button>
          <button type="button" class="button quiet wide" disabled={busy} onClick={() => setOpen(false)}>Keep it</button>
        </form>
      )}
    </section>
  );
}

function Data({ onGone }: { onGone: () => void }) {
  const [home, setHome] = useState<Household | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const load = () => api.household().then(setHome, (failed: Error) => setWrong(failed.message));
  useEffect(() => void load(), []);
  if (!home) return wrong ? <Alert text={wrong} /> : <p class="waiting" role="status">Looking at what is kept…</p>;
  return (
    <>
      <Keep home={home} onSaved={() => void load()} />
      <Export />
      <Erase home={home} onGone={onGone} />
    </>
  );
}

export function SettingsPage({ user, onGone }: { user: User; onGone: () => void }) {
  useEffect(() => { document.title = "Settings · Porchlight"; }, []);
  return (
    <>
      <h1>Settings</h1>
      <Appearance />
      {user.role === "owner" && <Data onGone={onGone} />}
    </>
  );
}
