// Sign in: name, password and code in one step, so that nobody learns which of them was wrong.
import { useEffect, useRef, useState } from "preact/hooks";
import { api, Problem, type User } from "../api";
import { CodeField, RecoveryField } from "../parts/code";
import { LampIcon } from "../parts/icons";
import { Alert } from "../parts/notice";

export function LoginPage({ onDone }: { onDone: (user: User) => void }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [lost, setLost] = useState(false);
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => first.current?.focus(), []);

  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setWrong(null);
    try {
      onDone(await api.login(name, password, code));
    } catch (failed) {
      const problem = failed as Problem;
      setWrong(problem.retryAfter > 0 ? `${problem.message} (${problem.retryAfter} s)` : problem.message);
      setCode("");
      setBusy(false);
    }
  };
  return (
    <main id="main" class="gate" tabIndex={-1}>
      <h1><LampIcon />Sign in to Porchlight</h1>
      <form onSubmit={submit}>
        <div class="field">
          <label for="name">Name</label>
          <input id="name" name="username" ref={first} autocomplete="username" autocapitalize="none" required value={name}
            onInput={(input) => setName(input.currentTarget.value)} />
        </div>
        <div class="field">
          <label for="password">Password</label>
          <input id="password" name="password" type="password" autocomplete="current-password" required value={password}
            onInput={(input) => setPassword(input.currentTarget.value)} />
        </div>
        {lost ? <RecoveryField value={code} onChange={setCode} />
          : <CodeField value={code} onChange={setCode} hint="Six digits. Each code works once; a new one comes every 30 seconds." />}
        <Alert text={wrong} />
        <button type="submit" class="button wide" disabled={busy}>{busy ? "Signing in…" : "Sign in"}</button>
        <button type="button" class="button quiet wide" onClick={() => { setLost(!lost); setCode(""); }}>
          {lost ? "Use the authenticator app" : "Use a recovery code"}
        </button>
      </form>
      <p class="hint">The browser warned of the certificate? <a href="/trust">Trust this hub</a> on this device.</p>
    </main>
  );
}
