// The dialog that asks for a fresh code before something that a borrowed phone must not do. It answers the API's call
// (api.ts), so pages only call what they want done.
import { useEffect, useRef, useState } from "preact/hooks";
import { api, whenStepUp, type Problem } from "../api";
import { CodeField, RecoveryField } from "./code";
import { Alert } from "./notice";

interface Wish { sentence: string; recovery: boolean; done: (proved: boolean) => void }

export function StepUpDialog() {
  const [wish, setWish] = useState<Wish | null>(null);
  const [code, setCode] = useState("");
  const [lost, setLost] = useState(false);
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const dialog = useRef<HTMLDialogElement>(null);

  useEffect(() => whenStepUp((sentence, recovery) => new Promise((done) => {
    setCode("");
    if (!recovery) setLost(false); // it would be spent and not be enough
    setWrong(null);
    setBusy(false);
    setWish((before) => { before?.done(false); return { sentence, recovery, done }; });
  })), []);
  useEffect(() => {
    if (!wish) return;
    if (!dialog.current?.open) dialog.current?.showModal();
    dialog.current?.querySelector("input")?.focus();
  }, [wish, lost]);

  const end = (proved: boolean) => {
    dialog.current?.close();
    wish?.done(proved);
    setWish(null);
  };
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setWrong(null);
    try {
      await api.stepUp(code);
      end(true);
    } catch (failed) {
      const problem = failed as Problem;
      if (problem.status === 401) end(false);
      setWrong(problem.retryAfter > 0 ? `${problem.message} (${problem.retryAfter} s)` : problem.message);
      setCode("");
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} class="step-up" aria-labelledby="step-up-title" onCancel={(cancel) => { cancel.preventDefault(); end(false); }}>
      {wish && (
        <form onSubmit={submit}>
          <h2 id="step-up-title">Is it you?</h2>
          <p>{wish.sentence.replace(/^./, (first) => first.toUpperCase())}.</p>
          {lost ? <RecoveryField value={code} onChange={setCode} />
            : <CodeField value={code} onChange={setCode} hint="Six digits. The one you signed in with does not work again." />}
          <Alert text={wrong} />
          <button type="submit" class="button wide" disabled={busy || !code}>{busy ? "Checking…" : "Go on"}</button>
          <p class="actions">
            {wish.recovery && <button type="button" class="plain" onClick={() => { setLost(!lost); setCode(""); }}>{lost ? "Use the app's code" : "Use a recovery code"}</button>}
            <button type="button" class="plain" onClick={() => end(false)}>Cancel</button>
          </p>
        </form>
      )}
    </dialog>
  );
}
