// The owner's first minutes: a name and a strong password, the second factor, then the recovery codes. The token stands behind the '#'
// of the setup link, so it reaches no server log; the hub spends it when the first code is right.
import { useEffect, useRef, useState } from "preact/hooks";
import { api, type SetupMade, type User } from "../api";
import { CodeField } from "../parts/code";
import { LampIcon } from "../parts/icons";
import { Alert, Notice } from "../parts/notice";
import { PasswordField } from "../parts/password";
import { useQr } from "../parts/qr";
import { RecoveryCodes } from "../parts/recovery";

function zones(): string[] {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const known = (Intl as unknown as { supportedValuesOf?: (key: string) => string[] }).supportedValuesOf?.("timeZone") ?? [];
  return known.includes(here) ? known : [here, ...known];
}

function Account(props: { token: string; onMade: (made: SetupMade) => void }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [good, setGood] = useState(false);
  const [zone, setZone] = useState(Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC");
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setWrong(null);
    try {
      props.onMade(await api.setup(props.token, name, password, zone));
    } catch (failed) {
      setWrong((failed as Error).message);
      setBusy(false);
    }
  };
  return (
    <form onSubmit={submit}>
      <p class="step">Step 1 of 3: your account</p>
      <div class="field">
        <label for="name">Name to sign in with</label>
        <input id="name" name="username" autocomplete="username" autocapitalize="none" required maxLength={64} value={name}
          aria-describedby="name-hint" onInput={(input) => setName(input.currentTarget.value)} />
        <p id="name-hint" class="hint">Up to 64 characters, such as Robin.</p>
      </div>
      <PasswordField token={props.token} name={name} value={password} onChange={(value, ok) => { setPassword(value); setGood(ok); }} />
      <div class="field">
        <label for="zone">Time zone of the household</label>
        <select id="zone" value={zone} onChange={(input) => setZone(input.currentTarget.value)}>
          {zones().map((each) => <option key={each} value={each}>{each}</option>)}
        </select>
      </div>
      <Alert text={wrong} />
      <button type="submit" class="button wide" disabled={busy || !good || !name}>{busy ? "Making the account…" : "Continue"}</button>
    </form>
  );
}

function SecondFactor(props: { token: string; made: SetupMade; onDone: (user: User, codes: string[]) => void }) {
  const qr = useQr(props.made.qr_svg);
  const [code, setCode] = useState("");
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const title = useRef<HTMLParagraphElement>(null);
  useEffect(() => title.current?.focus(), []);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setWrong(null);
    try {
      const answer = await api.confirm(props.token, code);
      history.replaceState(null, "", "/setup");
      props.onDone(answer.user, answer.recovery_codes);
    } catch (failed) {
      setWrong((failed as Error).message);
      setCode("");
      setBusy(false);
    }
  };
  return (
    <form onSubmit={submit}>
      <p class="step" ref={title} tabIndex={-1}>Step 2 of 3: your second factor</p>
      <p>Scan this with an authenticator app (any that does TOTP), then type the six digits it shows. You will need such a code at each
        new sign-in.</p>
      {qr && <img class="qr" src={qr} alt="QR code for your authenticator app; the same key stands below as text" />}
      <p class="hint">Cannot scan? Type this key: <code class="secret">{props.made.totp_secret.replace(/(.{4})(?=.)/g, "$1 ")}</code></p>
      <CodeField value={code} onChange={setCode} hint="Six digits, new every 30 seconds." />
      <Alert text={wrong} />
      <button type="submit" class="button wide" disabled={busy || code.length !== 6}>{busy ? "Checking…" : "Finish"}</button>
    </form>
  );
}

export function SetupPage({ onDone }: { onDone: (user: User) => void }) {
  const [token] = useState(location.hash.slice(1));
  const [made, setMade] = useState<SetupMade | null>(null);
  const [done, setDone] = useState<{ user: User; codes: string[] } | null>(null);
  if (!token)
    return (
      <main class="gate"><Notice title="This setup link is not whole">
        <p>Open the link that <code>porchlight init</code> printed, with all that follows the #, or make a new one:</p>
        <p><code>porchlight -C DIR setup-link</code></p>
      </Notice></main>
    );
  return (
    <main id="main" class="gate" tabIndex={-1}>
      <h1><LampIcon />Set up Porchlight</h1>
      {done ? <RecoveryCodes name={done.user.name} codes={done.codes} step="Step 3 of 3: for the day your phone is gone" doneLabel="Open Porchlight"
        onDone={() => onDone(done.user)} />
        : made ? <SecondFactor token={token} made={made} onDone={(user, codes) => setDone({ user, codes })} />
          : <Account token={token} onMade={setMade} />}
    </main>
  );
}
