// The six digits of an authenticator app.
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
