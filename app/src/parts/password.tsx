// A new password with live advice from the hub: what is still missing, how strong it is, what would help.
import { useEffect, useState } from "preact/hooks";
import { api, type PasswordAdvice } from "../api";
import { Alert } from "./notice";

const RULES: [keyof PasswordAdvice, string][] = [
  ["long_enough", "at least 12 characters"], ["capital", "a capital letter"], ["symbol", "a symbol, such as - or ?"],
  ["strong", "hard to guess"],
];

function strength(advice: PasswordAdvice): string {
  if (advice.guesses_log10 < 6) return "falls within seconds";
  if (advice.guesses_log10 < 10) return "could still be guessed";
  return advice.guesses_log10 < 13 ? "strong" : "very strong";
}

// `token`: of a setup link, where nobody is signed in yet.
export function PasswordField(props: { label?: string; token?: string; name: string; value: string; onChange: (value: string, ok: boolean) => void }) {
  const [advice, setAdvice] = useState<PasswordAdvice | null>(null);
  const [shown, setShown] = useState(false);
  const [trouble, setTrouble] = useState<string | null>(null); // such as a link that was used before
  useEffect(() => {
    if (!props.value) {
      setAdvice(null);
      return undefined;
    }
    const stop = new AbortController();
    const timer = setTimeout(() => {
      api.passwordCheck(props.value, props.name, props.token, stop.signal).then((now) => {
        setAdvice(now);
        setTrouble(null);
        props.onChange(props.value, now.ok);
      }, (failed) => {
        if (!stop.signal.aborted) setTrouble((failed as Error).message);
      });
    }, 250);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [props.value, props.name]);
  const met = (key: keyof PasswordAdvice) => advice !== null && advice[key] === true;
  return (
    <div class="field">
      <label for="password">{props.label ?? "Password"}</label>
      <div class="with-button">
        <input id="password" name="password" type={shown ? "text" : "password"} autocomplete="new-password" required value={props.value}
          aria-describedby="password-rules password-tips" onInput={(input) => props.onChange(input.currentTarget.value, false)} />
        <button type="button" class="plain" aria-pressed={shown} onClick={() => setShown(!shown)}>{shown ? "Hide" : "Show"}</button>
      </div>
      <ul id="password-rules" class="rules">
        {RULES.map(([key, text]) => (
          <li key={key} class={met(key) ? "met" : ""}><span aria-hidden="true">{met(key) ? "✓" : "○"}</span> {text}
            <span class="hidden">{met(key) ? " (done)" : " (missing)"}</span></li>
        ))}
      </ul>
      <div id="password-tips" class="tips" role="status">
        {advice && <p>Against guessing: {strength(advice)}.</p>}
        {advice?.tips.map((tip) => <p key={tip}>{tip}</p>)}
      </div>
      <Alert text={trouble} />
    </div>
  );
}
