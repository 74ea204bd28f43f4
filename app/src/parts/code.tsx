// The six digits of an authenticator app, or a recovery code in their place.
export function RecoveryField(props: { value: string; onChange: (value: string) => void }) {
  return (
    <div class="field">
      <label for="recovery">Recovery code</label>
      <input id="recovery" name="recovery" autocomplete="off" autocapitalize="characters" spellcheck={false} maxLength={24} required
        value={props.value} aria-describedby="recovery-hint" onInput={(input) => props.onChange(input.currentTarget.value)} />
      <p id="recovery-hint" class="hint">One of the ten that you kept, such as ABCD-EFGH-IJKL-MNOP. Each works once.</p>
    </div>
  );
}

export function CodeField(props: { value: string; onChange: (value: string) => void; hint: string }) {
  return (
    <div class="field">
      <label for="code">Code from your authenticator app</label>
      <input id="code" name="code" class="code" inputMode="numeric" autocomplete="one-time-code" pattern="[0-9]{6}" maxLength={6} required
        value={props.value} aria-describedby="code-hint" onInput={(input) => props.onChange(input.currentTarget.value.replace(/\D/g, ""))} />
      <p id="code-hint" class="hint">{props.hint}</p>
    </div>
  );
}
