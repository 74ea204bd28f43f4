// Recovery codes, shown once: read them, copy, save or print them, say that they are kept, go on.
import { useEffect, useRef, useState } from "preact/hooks";

function textOf(name: string, codes: string[]): string {
  return [`Porchlight recovery codes of ${name} at ${location.host}`, "Each works once in place of the code from the authenticator app.", "",
    ...codes, ""].join("\n");
}

export function RecoveryCodes(props: { name: string; codes: string[]; step?: string; doneLabel: string; onDone: () => void }) {
  const [kept, setKept] = useState(false);
  const [said, setSaid] = useState("");
  const title = useRef<HTMLHeadingElement>(null);
  useEffect(() => title.current?.focus(), []);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(textOf(props.name, props.codes));
      setSaid("Copied.");
    } catch {
      setSaid("This browser does not allow copying; save or print them instead.");
    }
  };
  const save = () => {
    const url = URL.createObjectURL(new Blob([textOf(props.name, props.codes)], { type: "text/plain" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = "porchlight-recovery-codes.txt";
    link.click();
    URL.revokeObjectURL(url);
    setSaid("Saved as porchlight-recovery-codes.txt.");
  };
  return (
    <section class="recovery">
      {props.step && <p class="step">{props.step}</p>}
      <h2 ref={title} tabIndex={-1}>Keep your recovery codes</h2>
      <p>If your phone is lost, each of these signs you in once in place of the code. They are shown only now: keep them away from your
        phone, on paper or in a password manager.</p>
      <ol class="codes">{props.codes.map((each) => <li key={each}><code>{each}</code></li>)}</ol>
      <p class="actions">
        <button type="button" class="button quiet" onClick={copy}>Copy</button>
        <button type="button" class="button quiet" onClick={save}>Download</button>
        <button type="button" class="button quiet" onClick={() => print()}>Print</button>
      </p>
      <p role="status" class="hint">{said}</p>
      <label class="check"><input type="checkbox" checked={kept} onChange={(box) => setKept(box.currentTarget.checked)} />I have kept them</label>
      <button type="button" class="button wide" disabled={!kept} onClick={props.onDone}>{props.doneLabel}</button>
    </section>
  );
}
