// The live stream: one EventSource for the whole page. Parts of the page listen by kind; the browser reconnects
// by itself and names the last id it saw, so the hub sends the motions and persons that were missed, and an id seen twice is passed on once.
// Whatever else happened while it was away nobody tells: a page that shows more asks anew on its return.
import { api, type AccountAlert, type Clip, type HomeEvent } from "./api";

export interface PersonNews { notification: { id: string; device: string; at_ms: number; picture: string | null; why: string }; event: HomeEvent | null } // null: what the policy hides, or gone since
export interface News { motion: HomeEvent; event: HomeEvent; person: PersonNews; clip: { event?: string; clip?: Clip } & Partial<Clip>; device: { id: string; online: boolean };
  deleted: { event: string; clip: string; device: string }; alert: { alert: AccountAlert } }
type Listener<K extends keyof News> = (news: News[K]) => void;

const listeners: { [K in keyof News]: Set<Listener<K>> } = { motion: new Set(), event: new Set(), person: new Set(), clip: new Set(), device: new Set(), deleted: new Set(), alert: new Set() };
const stateListeners = new Set<(connected: boolean) => void>();
const seen = new Set<string>();
let source: EventSource | null = null;
let connected = false;
let wanted = false; // between start and stop

function setConnected(now: boolean): void {
  connected = now;
  stateListeners.forEach((tell) => tell(now));
}

function pass<K extends keyof News>(kind: K, message: MessageEvent<string>): void {
  const news = JSON.parse(message.data) as News[K];
  if (kind === "person") {
    const id = (news as PersonNews).notification.id;
    if (seen.has(id)) return;
    seen.add(id);
  }
  listeners[kind].forEach((tell) => tell(news));
}

export const live = {
  start(): void {
    wanted = true;
    if (source) return;
    source = new EventSource("/api/v1/events/stream");
    source.onopen = () => setConnected(true);
    source.onerror = () => {
      setConnected(false);
      // A refusal ends the source for good. Signed out from elsewhere or idle too long: asking leads to the sign-in page.
      // Else (the hub restarts, too many pages) begin anew later.
      if (source?.readyState === EventSource.CLOSED) {
        source = null;
        const again = () => setTimeout(() => { if (wanted) live.start(); }, 5000);
        api.stillIn().then(again, (failed: { status?: number }) => { if (failed.status !== 401) again(); });
      }
    };
    for (const kind of ["motion", "event", "person", "clip", "device", "deleted", "alert"] as const)
      source.addEventListener(kind, (message) => pass(kind, message as MessageEvent<string>));
  },
  stop(): void {
    wanted = false;
    source?.close();
    source = null;
    setConnected(false);
  },
  on<K extends keyof News>(kind: K, tell: Listener<K>): () => void {
    listeners[kind].add(tell);
    return () => listeners[kind].delete(tell);
  },
  onState(tell: (now: boolean) => void): () => void {
    stateListeners.add(tell);
    tell(connected);
    return () => stateListeners.delete(tell);
  },
  // Each time that the stream comes, for the first time or again, but not that it is there already.
  onReturn(tell: () => void): () => void {
    let asked = false;
    const stop = live.onState((now) => { if (now && asked) tell(); });
    asked = true;
    return stop;
  },
};
