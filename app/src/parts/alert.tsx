// "Was this you?": the banner over every page, and the two answers. "Not me" ends that sign-in at once and leads to the
// form for a new password, which is what shuts out whoever knows the old one.
import { useEffect, useState } from "preact/hooks";
import { alerts, open, placeOf, wordsOf } from "../alerts";
import type { AccountAlert, User } from "../api";
import { go } from "../route";
import { ago } from "../when";
import { ShieldIcon } from "./icons";

export const URGENT = "urgent"; // in the page's history: the password form comes first

export function Answers({ alert, onWrong }: { alert: AccountAlert; onWrong: (sentence: string) => void }) {
  const [busy, setBusy] = useState(false);
  const answer = async (how: "mine" | "not-mine") => {
    setBusy(true);
    try {
      const ended = await alerts.answer(alert.id, how);
      if (how === "not-mine") go("/security", false, { [URGENT]: ended ? "That sign-in is over." : "Good that you looked." });
    } catch (failed) {
      onWrong((failed as Error).message);
      await alerts.load().catch(() => undefined);
    }
    setBusy(false);
  };
  const then = alert.session_lives && alert.kind === "sign-in" ? "Not me, sign it out" : "Not me, change password";
  return (
    <p class="answers">
      <button type="button" class="button" disabled={busy} onClick={() => answer("not-mine")}>{then}</button>
      <button type="button" class="plain" disabled={busy} onClick={() => answer("mine")}>It was me</button>
    </p>
  );
}

export function AlertBanner({ user, path }: { user: User; path: string }) {
  const [list, setList] = useState<AccountAlert[]>([]);
  const [wrong, setWrong] = useState<string | null>(null);
  useEffect(() => alerts.on(setList), [user]);
  const [first, ...more] = open(list);
  // The security page shows all of them itself.
  const shown = path === "/security" ? undefined : first;
  return (
    <div role="status" aria-live="polite" class="banner-place">
      {shown && (
        <div class="banner banner-alert" data-alert={shown.id}>
          <ShieldIcon />
          <p><strong>{wordsOf(shown)}. Was this you?</strong> <span>{placeOf(shown)}, {ago(shown.last_ms)}{shown.count > 1 ? `, ${shown.count} times` : ""}.</span>
            {more.length > 0 && <a href="/security"> {more.length} more</a>}</p>
          <Answers alert={shown} onWrong={setWrong} />
          {wrong && <p class="banner-wrong">{wrong}</p>}
        </div>
      )}
    </div>
  );
}
