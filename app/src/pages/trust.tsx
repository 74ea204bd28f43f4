// Before anybody signs in: how this phone or computer comes to trust a hub that has no public name, what to compare
// first, and what does not work until then. The page proves nothing about itself and says so.
import { useEffect, useState } from "preact/hooks";
import { api, type Trust } from "../api";
import { LampIcon } from "../parts/icons";
import { Alert } from "../parts/notice";
import { useQr } from "../parts/qr";

type System = "ios" | "android" | "computer";

function systemHere(): System {
  const agent = navigator.userAgent;
  // An iPad that asks for desktop pages calls itself a Macintosh, but has a touch screen.
  if (/iPhone|iPad|iPod/.test(agent) || (/Macintosh/.test(agent) && navigator.maxTouchPoints > 1)) return "ios";
  return /Android/.test(agent) ? "android" : "computer";
}

// Four groups of eight bytes: eyes keep their place, and a screen reader says bytes, not one endless word.
function Fingerprint({ text }: { text: string }) {
  const bytes = text.split(":");
  const lines = [0, 8, 16, 24].map((at) => bytes.slice(at, at + 8).join(" "));
  return <p class="fingerprint" translate={false}>{lines.map((line) => <code key={line}>{line}</code>)}</p>;
}

function Ios() {
  return (
    <ol>
      <li><a class="button" href="/porchlight.mobileconfig">Get the profile</a> in Safari, and allow the download.</li>
      <li>Open <b>Settings</b>: at the top it says <b>Profile Downloaded</b>. Open it; under <b>More Details</b> compare the
        certificate’s SHA-256 fingerprint with the one from the hub. Only then touch <b>Install</b>. It says “Not Signed”: a hub’s own
        profile always does.</li>
      <li>Go to <b>Settings › General › About › Certificate Trust Settings</b> and switch <b>Porchlight web</b> on.</li>
      <li>Close this tab and open the hub again: the warning is gone. <b>Share › Add to Home Screen</b> makes it an app.</li>
    </ol>
  );
}

function Android() {
  return (
    <ol>
      <li><a class="button" href="/web-ca.crt">Get the certificate</a>. The phone may say that it can be installed in Settings only:
        that is the next step.</li>
      <li>Open <b>Settings</b>, search for <b>CA certificate</b> (under Security › Encryption &amp; credentials › Install a certificate),
        and choose <b>Install anyway</b>. Android’s warning is meant for authorities that can vouch for every name; this one
        cannot.</li>
      <li>Choose the file <b>porchlight-web-ca.crt</b>. Then look under <b>Trusted credentials › User</b> and compare its SHA-256
        fingerprint with the one from the hub. If it differs, remove it.</li>
      <li>Close the browser, open the hub again, and choose <b>Install app</b> in its menu. Firefox needs one step more:
        Settings › About Firefox, touch the logo five times, then Secret Settings › Use third party CA certificates.</li>
    </ol>
  );
}

function Computer() {
  return (
    <>
      <p><a class="button" href="/web-ca.crt">Get the certificate</a> and compare its SHA-256 fingerprint before you trust it:</p>
      <dl class="steps">
        <dt>Windows</dt>
        <dd>Open the file, <b>Install Certificate</b>, <b>Current User</b>, and place it in <b>Trusted Root Certification Authorities</b>.</dd>
        <dt>macOS</dt>
        <dd>Open the file: Keychain Access takes it. Open it there, unfold <b>Trust</b>, set <b>Always Trust</b>.</dd>
        <dt>Linux</dt>
        <dd>Chromium: Settings › Privacy and security › Security › Manage certificates › Authorities › Import, and tick websites.
          In a terminal the fingerprint is <code>openssl x509 -in porchlight-web-ca.crt -noout -fingerprint -sha256</code>.</dd>
        <dt>Firefox</dt>
        <dd>Settings › Privacy &amp; Security › View Certificates › Authorities › Import, and tick websites.</dd>
      </dl>
    </>
  );
}

const SYSTEMS: { id: System; title: string; steps: () => preact.JSX.Element }[] = [
  { id: "ios", title: "iPhone and iPad", steps: Ios },
  { id: "android", title: "Android", steps: Android },
  { id: "computer", title: "Computer", steps: Computer },
];

function Private({ trust }: { trust: Trust }) {
  const qr = useQr(trust.qr_svg);
  const here = systemHere();
  const ordered = [...SYSTEMS].sort((a, b) => Number(b.id === here) - Number(a.id === here));
  return (
    <>
      <p>This hub has no public name, so it vouches for itself, with a certificate authority of its own. It can vouch for nothing
        but <b>{(trust.names ?? []).join(", ")}</b>. Until this device trusts it, browsers warn, and these do not
        work: <b>push messages</b>, <b>installing the page as an app</b>, and <b>passkeys</b>.</p>
      <h2 id="compare">1. Compare</h2>
      <p>The fingerprint (SHA-256) of the authority. On the hub, <code>porchlight status</code> shows it, too:</p>
      <Fingerprint text={trust.fingerprint ?? ""} />
      <p class="hint">Whoever stands between you and the hub could have changed this page. What counts is that the fingerprint on
        the hub and the one that your device shows before or after installing are the same.</p>
      <h2 id="install">2. Install</h2>
      {ordered.map(({ id, title, steps: Steps }) => (
        <details key={id} class="card" open={id === here}>
          <summary>{title}{id === here ? " (this device)" : ""}</summary>
          <Steps />
        </details>
      ))}
      {trust.url && (
        <>
          <h2 id="phone">On another device</h2>
          {qr && <img class="qr" src={qr} alt="QR code of this page’s address, which stands below" />}
          <p class="hint">Open <a href={trust.url}>{trust.url}</a> there.</p>
        </>
      )}
      <p class="hint">The authority ends on {new Date(trust.ends_ms ?? 0).toISOString().slice(0, 10)}. To stop trusting it, remove the
        profile or certificate in the same place.</p>
      <p><a class="button wide" href="/">Go to the hub</a></p>
    </>
  );
}

export function TrustPage() {
  const [trust, setTrust] = useState<Trust | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  useEffect(() => {
    api.trust().then(setTrust, (failed) => setWrong((failed as Error).message));
  }, []);
  return (
    <main id="main" class="gate trust" tabIndex={-1}>
      <h1><LampIcon />Trust this hub</h1>
      <Alert text={wrong} />
      {!trust && !wrong && <p role="status">Loading…</p>}
      {trust && (trust.public_name
        ? <><p>This hub has a certificate of a public name: every browser trusts it. There is nothing to install.</p>
          <p><a class="button wide" href="/">Go to the hub</a></p></>
        : <Private trust={trust} />)}
    </main>
  );
}
