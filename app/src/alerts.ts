// What the person should know of about the own account: one list for the banner and the security page. News comes
// live; after each reconnection the list is read anew, so that nothing is missed.
import { api, type AccountAlert } from "./api";
import { live } from "./live";

type Listener = (list: AccountAlert[]) => void;

const listeners = new Set<Listener>();
let list: AccountAlert[] = [];

function set(now: AccountAlert[]): void {
  list = now;
  listeners.forEach((tell) => tell(list));
}

async function load(): Promise<void> {
  set(await api.alerts());
}

live.on("alert", ({ alert }) => {
  if (!list.some((known) => known.id === alert.id)) set([alert, ...list]);
});
live.onState((connected) => { if (connected) load().catch(() => undefined); });

export const alerts = {
  load,
  on(tell: Listener): () => void {
    listeners.add(tell);
    tell(list);
    return () => listeners.delete(tell);
  },
  async answer(id: string, answer: "mine" | "not-mine"): Promise<boolean> {
    const { ended } = await api.answerAlert(id, answer);
    await load();
    return ended;
  },
  // Nobody is signed in any more: the next person must not see them.
  forget(): void {
    set([]);
  },
};

// Those that wait for an answer that this sign-in may give.
export const open = (all: AccountAlert[]): AccountAlert[] => all.filter((one) => one.answer === null && !one.own);

const WORDS: Record<AccountAlert["kind"], string> = {
  "sign-in": "New sign-in",
  half: "Your password was used without a code",
  password: "Your password was changed",
  "recovery-codes": "New recovery codes were made",
};
export const wordsOf = (one: AccountAlert): string => WORDS[one.kind];
export const placeOf = (one: AccountAlert): string =>
  `${one.agent.replace(/^./, (first) => first.toUpperCase())}, from ${one.address || "an unknown address"}`;
