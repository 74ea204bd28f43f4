// What keeps the account safe: was this you, where you are signed in, the password, the recovery codes.
import { useEffect, useRef, useState } from "preact/hooks";
import { alerts, open, placeOf, wordsOf } from "../alerts";
import { api, type AccountAlert, type Problem, type Session, type User } from "../api";
import { live } from "../live";
import { Answers, URGENT } from "../parts/alert";
import { Alert } from "../parts/notice";
import { PasswordField } from "../parts/password";
import { RecoveryCodes } from "../parts/recovery";
import { ago, brief } from "../when";

const sentenceOf = (failed: unknown): string => {
  const problem = failed as Problem;
  return problem.retryAfter > 0 ? `${problem.message} (${problem.retryAfter} s)` : problem.message;
};

function OneAlert({ alert, zone, onWrong }: { alert: AccountAlert; zone: string; onWrong: (sentence: string) => void }) {
  const said = alert.own ? "From this very sign-in" : alert.answer === "mine" ? "You said: it was me" : alert.answer === "not-mine" ? "You said: not me" : null;
  return (
    <li class="entry" data-alert={alert.id}>
      <div>
        <p><strong>{wordsOf(alert)}</strong>{alert.count > 1 && <span class="badge">{alert.count} times</span>}</p>
        <p class="hint">{placeOf(alert)}</p>
        <p class="hint"><time dateTime={new Date(alert.last_ms).toISOString()}>{brief(alert.last_ms, zone)}</time>{said && `. ${said}.`}</p>
      </div>
      {!said && <Answers alert={alert} onWrong={onWrong} />}
    </li>
  );
}

function AlertsCard({ zone }: { zone: string }) {
  const [list, setList] = useState<AccountAlert[]>([]);
  const [all, setAll] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  useEffect(() => alerts.on(setList), []);
  if (list.length === 0) return null;
  const waiting = open(list);
  const rest = list.filter((one) => !waiting.includes(one));
  return (
    <section class={waiting.length > 0 ? "card card-urgent" : "card"} aria-labelledby="alerts-title">
      <h2 id="alerts-title">{waiting.length > 0 ? "Was this you?" : "What happened to your account"}</h2>
      <Alert text={wrong} />
      <ul class="rows">{waiting.map((one) => <OneAlert key={one.id} alert={one} zone={zone} onWrong={setWrong} />)}
        {(all || waiting.length === 0 ? rest.slice(0, all ? undefined : 3) : []).map((one) => <OneAlert key={one.id} alert={one} zone={zone} onWrong={setWrong} />)}</ul>
      {!all && rest.length > (waiting.length === 0 ? 3 : 0) && <button type="button" class="plain" onClick={() => setAll(true)}>Show earlier ones</button>}
    </section>
  );
}

function OneSession({ session, zone, onEnd }: { session: Session; zone: string; onEnd: () => void }) {
  return (
    <li class="entry" data-session={session.id}>
      <div>
        <p><strong>{session.agent.replace(/^./, (first) => first.toUpperCase())}</strong>
          {session.own && <span class="badge badge-person">This one</span>}{session.installed && <span class="badge">Home screen</span>}</p>
        <p class="hint">From {session.address || "an unknown address"}, last seen {ago(session.seen_ms)}</p>
        <p class="hint">Since <time dateTime={new Date(session.created_ms).toISOString()}>{brief(session.created_ms, zone)}</time></p>
      </div>
      {!session.own && <button type="button" class="button quiet" onClick={onEnd} aria-label={`Sign out ${session.agent} from ${session.address}`}>Sign out</button>}
    </li>
  );
}

function SessionsCard({ zone, changed }: { zone: string; changed: number }) {
  const [list, setList] = useState<Session[] | null>(null);
  const [said, setSaid] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const load = () => api.sessions().then((all) => setList([...all.filter((one) => one.own), ...all.filter((one) => !one.own)]), (failed) => setWrong(sentenceOf(failed)));
  useEffect(() => { load(); }, [changed]);
  useEffect(() => live.on("alert", () => { load(); }), []);
  const act = async (what: () => Promise<string>) => {
    setWrong(null);
    setSaid("");
    try {
      setSaid(await what());
    } catch (failed) {
      setWrong(sentenceOf(failed));
    }
    await load();
  };
  const others = list?.filter((one) => !one.own) ?? [];
  return (
    <section class="card" aria-labelledby="sessions-title">
      <h2 id="sessions-title">Where you are signed in</h2>
      <Alert text={wrong} />
      <ul class="rows">{list?.map((one) => (
        <OneSession key={one.id} session={one} zone={zone} onEnd={() => act(() => api.endSession(one.id).then(() => "Signed out."))} />
      ))}</ul>
      <p role="status" class="hint">{said}</p>
      {others.length > 0 && (
        <button type="button" class="button quiet" onClick={() => act(() => api.endOtherSessions().then((count) => `${count} signed out.`))}>
          Sign out everywhere else
        </button>
      )}
    </section>
  );
}

function PasswordCard({ user, urgent, onChanged }: { user: User; urgent: string | null; onChanged: () => void }) {
  const [old, setOld] = useState("");
  const [next, setNext] = useState("");
  const [good, setGood] = useState(false);
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (!urgent) return;
    title.current?.focus();
    title.current?.scrollIntoView({ block: "start" });
  }, [urgent]);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setWrong(null);
    setSaid("");
    try {
      const ended = await api.changePassword(old, next);
      setSaid(ended === 0 ? "Changed. You were signed in nowhere else." : `Changed. ${ended === 1 ? "1 other sign-in" : `${ended} other sign-ins`} ended.`);
      setOld("");
      setNext("");
      setGood(false);
      onChanged();
    } catch (failed) {
      setWrong(sentenceOf(failed));
    }
    setBusy(false);
  };
  return (
    <section class={urgent && !said ? "card card-urgent" : "card"} aria-labelledby="password-title">
      <h2 id="password-title" ref={title} tabIndex={-1}>Change your password</h2>
      {urgent && !said && <p><strong>{urgent}</strong> Whoever it was knows your password. With a new one all other sign-ins end, too.</p>}
      <form onSubmit={submit}>
        <input type="text" name="username" autocomplete="username" value={user.name} hidden readOnly />
        <div class="field">
          <label for="old-password">Password now</label>
          <input id="old-password" name="old-password" type="password" autocomplete="current-password" required value={old}
            onInput={(input) => setOld(input.currentTarget.value)} />
        </div>
        <PasswordField label="New password" name={user.name} value={next} onChange={(value, ok) => { setNext(value); setGood(ok); }} />
        <Alert text={wrong} />
        <p role="status" class="hint">{said}</p>
        <button type="submit" class="button wide" disabled={busy || !good || !old}>{busy ? "Changing it…" : "Change password"}</button>
      </form>
    </section>
  );
}

function Renew({ onMade }: { onMade: (codes: string[]) => void }) {
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setWrong(null);
    try {
      onMade(await api.renewRecovery(password));
    } catch (failed) {
      setWrong(sentenceOf(failed));
      setBusy(false);
    }
  };
  return (
    <form onSubmit={submit}>
      <div class="field">
        <label for="recovery-password">Password</label>
        <input id="recovery-password" name="recovery-password" type="password" autocomplete="current-password" required value={password}
          onInput={(input) => setPassword(input.currentTarget.value)} />
      </div>
      <Alert text={wrong} />
      <button type="submit" class="button wide" disabled={busy || !password}>{busy ? "Making them…" : "Make new codes"}</button>
    </form>
  );
}

function RecoveryCard({ user }: { user: User }) {
  const [left, setLeft] = useState<number | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  useEffect(() => {
    if (!codes) api.recovery().then((now) => setLeft(now.left), (failed) => setWrong(sentenceOf(failed)));
  }, [codes]);
  return (
    <section class="card" aria-labelledby={codes ? undefined : "recovery-title"}>
      <Alert text={wrong} />
      {codes ? <RecoveryCodes name={user.name} codes={codes} doneLabel="Done" onDone={() => setCodes(null)} />
        : (
          <>
            <h2 id="recovery-title">Recovery codes</h2>
            {left !== null && <p role="status">{left === 1 ? "1 code still works." : `${left} codes still work.`}</p>}
            <p>New codes end all old ones. To make them, prove once more that it is you.</p>
            <Renew onMade={setCodes} />
          </>
        )}
    </section>
  );
}

export function SecurityPage({ user }: { user: User }) {
  const [changed, setChanged] = useState(0);
  const [urgent, setUrgent] = useState<string | null>(null);
  useEffect(() => {
    document.title = "Security · Porchlight";
    const read = () => setUrgent((history.state as Record<string, string> | null)?.[URGENT] ?? null);
    read();
    alerts.load().catch(() => undefined);
    addEventListener("popstate", read);
    return () => removeEventListener("popstate", read);
  }, []);
  return (
    <>
      <h1>Security</h1>
      <AlertsCard zone={user.timezone} />
      <SessionsCard zone={user.timezone} changed={changed} />
      <PasswordCard user={user} urgent={urgent} onChanged={() => { history.replaceState(null, "", "/security"); setUrgent(null); setChanged(changed + 1); }} />
      <RecoveryCard user={user} />
    </>
  );
}
