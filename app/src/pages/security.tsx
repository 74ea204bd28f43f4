// What keeps the account safe: the recovery codes that are left, and new ones for password and code.
import { useEffect, useState } from "preact/hooks";
import { api, type Problem, type User } from "../api";
import { CodeField } from "../parts/code";
import { Alert } from "../parts/notice";
import { RecoveryCodes } from "../parts/recovery";

function Renew({ onMade }: { onMade: (codes: string[]) => void }) {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setWrong(null);
    try {
      onMade(await api.renewRecovery(password, code));
    } catch (failed) {
      const problem = failed as Problem;
      setWrong(problem.retryAfter > 0 ? `${problem.message} (${problem.retryAfter} s)` : problem.message);
      setCode("");
      setBusy(false);
    }
  };
  return (
    <form onSubmit={submit}>
      <div class="field">
        <label for="password">Password</label>
        <input id="password" name="password" type="password" autocomplete="current-password" required value={password}
          onInput={(input) => setPassword(input.currentTarget.value)} />
      </div>
      <CodeField value={code} onChange={setCode} hint="Six digits, a fresh one." />
      <Alert text={wrong} />
      <button type="submit" class="button wide" disabled={busy}>{busy ? "Making them…" : "Make new codes"}</button>
    </form>
  );
}

export function SecurityPage({ user }: { user: User }) {
  const [left, setLeft] = useState<number | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  useEffect(() => {
    if (!codes) api.recovery().then((now) => setLeft(now.left), (failed) => setWrong((failed as Error).message));
  }, [codes]);
  return (
    <>
      <h1>Security</h1>
      <Alert text={wrong} />
      <section class="card" aria-labelledby={codes ? undefined : "recovery-title"}>
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
    </>
  );
}
