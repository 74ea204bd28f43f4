// A button for what cannot be undone: the first press asks, in place, with the focus on the way back.
import { useEffect, useRef, useState } from "preact/hooks";

export function Confirm(props: { label: string; question: string; yes: string; act: () => Promise<unknown> }) {
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const keep = useRef<HTMLButtonElement>(null);
  const open = useRef<HTMLButtonElement>(null);
  const asked = useRef(false);
  useEffect(() => {
    if (asking) keep.current?.focus();
    else if (asked.current) open.current?.focus();
    asked.current = asking;
  }, [asking]);
  if (!asking) return <button type="button" class="plain" ref={open} onClick={() => setAsking(true)}>{props.label}</button>;
  const go = () => {
    setBusy(true);
    props.act().catch(() => undefined).finally(() => { setBusy(false); setAsking(false); });
  };
  return (
    <div class="confirm" role="group" aria-label={props.label} onKeyDown={(key) => { if (key.key === "Escape") setAsking(false); }}>
      <p>{props.question}</p>
      <div class="actions">
        <button type="button" class="button danger" disabled={busy} onClick={go}>{props.yes}</button>
        <button type="button" class="plain" ref={keep} disabled={busy} onClick={() => setAsking(false)}>Keep it</button>
      </div>
    </div>
  );
}
