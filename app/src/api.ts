// The hub's API as the pages use it: typed answers, and every refusal as a Problem with a sentence for people.

export interface User { name: string; role: string; household: string; household_name: string; timezone: string }
export type Box = [number, number, number, number];
export interface Clip { id: string; state: "recording" | "complete"; bytes: number; sha256: string | null; url: string }
export interface PersonSeen {
  score: number; box: Box; at_ms: number; picture: string; held_back: boolean; feedback: { verdict: string; by: string; at_ms: number } | null;
}
export interface HomeEvent {
  id: string; device: string; product: string; kind: string; at_ms: number; received_at_ms: number; score: number; box: Box;
  thumbnail: string | null; clip: Clip | null; person: PersonSeen | null;
}
export interface Device {
  id: string; product: string; household: string; state: string; online: boolean; last_seen_ms: number | null;
  certificate_ends_ms: number | null;
  update?: { running: string; target: string; state: string; reason: string; bytes: number; at_ms: number } | null;
}
// Zones are x, y, width and height in ten-thousandths of the picture.
export type Zone = [number, number, number, number];
export interface CameraState { version: number; privacy: boolean; ignore: Zone[]; at_ms: number }
export interface Settings {
  device: string; pending: boolean; desired: CameraState | null; reported: (CameraState & { capture: string | null }) | null;
  picture: string | null; most_zones: number;
}
export interface Push {
  key: string;
  subscriptions: { id: string; service: string; muted: boolean; created_ms: number; delivered: number; last_at_ms: number | null; last_status: number }[];
  snoozes: { device: string; until_ms: number }[];
  quiet: { begins: string; ends: string } | null;
}
export interface Trust {
  public_name: boolean; fingerprint?: string; ends_ms?: number; names?: string[]; url?: string | null; qr_svg?: string | null;
}
export interface Session {
  id: string; agent: string; address: string; installed: boolean; own: boolean; created_ms: number; seen_ms: number; expires_ms: number;
}
export interface AccountAlert {
  id: string; kind: "sign-in" | "half" | "password" | "recovery-codes"; at_ms: number; last_ms: number; count: number; address: string;
  agent: string; session_lives: boolean; own: boolean; answer: "mine" | "not-mine" | null;
}
export interface PasswordAdvice {
  ok: boolean; long_enough: boolean; capital: boolean; symbol: boolean; guesses_log10: number; strong: boolean; tips: string[];
}
export interface SetupMade { totp_uri: string; totp_secret: string; qr_svg: string }

export interface KeptSum { clips: number; events: number; bytes: number; from_ms: number | null; to_ms: number | null }
export interface Household {
  id: string; name: string; timezone: string; keep: { days: number; bytes: number };
  hub: { days: number; bytes: number; clip_bytes: number }; now: KeptSum;
}

// ordered: waits for the browser to fetch it; lapsed: nobody did; whole: the hub has sent all of it; broken: it ended before that.
export interface ExportState { stage: "none" | "ordered" | "lapsed" | "running" | "whole" | "broken"; events: number; events_done: number; bytes_sent: number }

export class Problem extends Error {
  constructor(readonly status: number, readonly slug: string, detail: string, readonly retryAfter: number) {
    super(detail);
  }
}

const SENTENCES: Record<number, string> = {
  0: "The hub cannot be reached. Check that you are on the right network; this page tries again by itself.",
  401: "Please sign in.",
  429: "Too many attempts. Wait a little, then try again.",
  503: "The hub is busy or just starting. Try again in a moment.",
};

async function problemOf(response: Response): Promise<Problem> {
  let slug = "", detail = "";
  try {
    const body = (await response.json()) as { type?: string; detail?: string };
    slug = (body.type ?? "").split(":").pop() ?? "";
    detail = body.detail ?? "";
  } catch { /* not a problem document: the status speaks */ }
  const retry = Number(response.headers.get("Retry-After") ?? 0);
  return new Problem(response.status, slug, detail || (SENTENCES[response.status] ?? `The hub answered ${response.status}.`), retry);
}

// Who asks these shows also that nobody is signed in.
const ANSWERS_ITSELF = /\/(login|me|household\/erase)$/;

let onSignedOut: () => void = () => undefined;
// Called once by main: what to do when the hub says that nobody is signed in.
export function whenSignedOut(act: () => void): void {
  onSignedOut = act;
}

type StepUp = (sentence: string, recovery: boolean) => Promise<boolean>;
let onStepUp: StepUp = () => Promise.resolve(false);
// Called once by the code dialog: asks the person for a fresh code, or a recovery code where that is enough; false when they would rather not.
export function whenStepUp(act: StepUp): void {
  onStepUp = act;
}

// A page on the home screen asks for the longer sign-in; in a browser's tab it ends sooner.
function installed(): { installed?: "yes" } {
  const ios = (navigator as { standalone?: boolean }).standalone === true;
  return ios || matchMedia("(display-mode: standalone)").matches ? { installed: "yes" } : {};
}

// What wants a fresh code is asked again once the person gave one, so that no page needs a word about it.
async function ask<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await once<T>(method, path, body, signal);
    } catch (failed) {
      if (!(failed instanceof Problem) || (failed.slug !== "step-up" && failed.slug !== "step-up-app")) throw failed;
      if (!(await onStepUp(failed.message, failed.slug === "step-up"))) throw new Problem(403, failed.slug, "Nothing was changed: this needs a fresh code.", 0);
    }
  }
}

async function once<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      credentials: "same-origin",
      headers: body === undefined ? { Accept: "application/json" } : { Accept: "application/json", "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
  } catch (gone) {
    if (signal?.aborted) throw gone;
    throw new Problem(0, "unreachable", SENTENCES[0] ?? "", 0);
  }
  if (!response.ok) {
    const problem = await problemOf(response);
    if (response.status === 401 && !ANSWERS_ITSELF.test(path)) onSignedOut();
    throw problem;
  }
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export const api = {
  // Also tells the page when nobody is signed in any more.
  stillIn: () => ask<{ sessions: Session[] }>("GET", "/api/v1/sessions"),
  me: () => ask<{ user: User }>("GET", "/api/v1/me").then((answer) => answer.user),
  login: (name: string, password: string, code: string) =>
    ask<{ user: User }>("POST", "/api/v1/login", { name, password, code, ...installed() }).then((answer) => answer.user),
  logout: () => ask<void>("POST", "/api/v1/logout", {}),
  setup: (token: string, name: string, password: string, timezone: string) =>
    ask<SetupMade>("POST", "/api/v1/setup", { token, name, password, timezone }),
  confirm: (token: string, code: string) =>
    ask<{ user: User; recovery_codes: string[] }>("POST", "/api/v1/setup/confirm", { token, code, ...installed() }),
  recovery: () => ask<{ left: number; made_ms: number }>("GET", "/api/v1/recovery-codes"),
  renewRecovery: (password: string) =>
    ask<{ recovery_codes: string[] }>("POST", "/api/v1/recovery-codes", { password }).then((answer) => answer.recovery_codes),
  passwordCheck: (password: string, name: string, token: string | undefined, signal: AbortSignal) =>
    ask<PasswordAdvice>("POST", "/api/v1/password-check", { password, name, ...(token ? { token } : {}) }, signal),
  stepUp: (code: string) => ask<{ step_up_left_s: number }>("POST", "/api/v1/step-up", { code }),
  changePassword: (password: string, next: string) =>
    ask<{ ended: number }>("POST", "/api/v1/password", { password, new_password: next }).then((answer) => answer.ended),
  sessions: () => ask<{ sessions: Session[] }>("GET", "/api/v1/sessions").then((answer) => answer.sessions),
  endSession: (id: string) => ask<void>("DELETE", `/api/v1/sessions/${encodeURIComponent(id)}`),
  endOtherSessions: () => ask<{ ended: number }>("DELETE", "/api/v1/sessions").then((answer) => answer.ended),
  alerts: () => ask<{ alerts: AccountAlert[] }>("GET", "/api/v1/alerts").then((answer) => answer.alerts),
  answerAlert: (id: string, answer: "mine" | "not-mine") =>
    ask<{ ended: boolean }>("POST", `/api/v1/alerts/${encodeURIComponent(id)}`, { answer }),
  events: (count: number, before: string | null, filter: { camera: string | null; day: string | null; person: boolean }) => {
    const words = new URLSearchParams({ limit: String(count) });
    if (before) words.set("before", before);
    if (filter.camera) words.set("device", filter.camera);
    if (filter.day) words.set("day", filter.day);
    if (filter.person) words.set("person", "1");
    return ask<{ events: HomeEvent[]; next: string | null }>("GET", `/api/v1/events?${words}`);
  },
  event: (id: string) => ask<HomeEvent>("GET", `/api/v1/events/${encodeURIComponent(id)}`),
  trust: () => ask<Trust>("GET", "/api/v1/trust"),
  deleteEvent: (id: string) => ask<{ event: string; scrubbed: boolean }>("DELETE", `/api/v1/events/${encodeURIComponent(id)}`),
  feedback: (id: string, verdict: "not-a-person" | "none") =>
    ask<HomeEvent>("PUT", `/api/v1/events/${encodeURIComponent(id)}/feedback`, { verdict }),
  push: () => ask<Push>("GET", "/api/v1/push"),
  subscribe: (endpoint: string, p256dh: string, auth: string) =>
    ask<{ id: string }>("POST", "/api/v1/push/subscriptions", { endpoint, p256dh, auth }),
  unsubscribe: (id: string) => ask<void>("DELETE", `/api/v1/push/subscriptions/${encodeURIComponent(id)}`),
  testPush: () => ask<{ queued: number }>("POST", "/api/v1/push/test", {}),
  snooze: (device: string, minutes: number) =>
    ask<{ until_ms: number | null }>("PUT", `/api/v1/push/snoozes/${encodeURIComponent(device)}`, { minutes: String(minutes) }),
  quiet: (begins: string, ends: string) => ask<void>("PUT", "/api/v1/push/quiet", { begins, ends }),
  settings: (device: string) => ask<Settings>("GET", `/api/v1/devices/${encodeURIComponent(device)}/settings`),
  privacy: (device: string, on: boolean) =>
    ask<Settings>("PUT", `/api/v1/devices/${encodeURIComponent(device)}/privacy`, { on: on ? "yes" : "no" }),
  // `base` is the version of the wish that they were made from; 409 when it is another one by now.
  zones: (device: string, zones: Zone[], base: number) =>
    ask<Settings>("PUT", `/api/v1/devices/${encodeURIComponent(device)}/zones`,
      { ignore: zones.map((zone) => zone.join(",")).join(";"), base: String(base) }),
  release: (device: string, confirm: string) =>
    ask<{ device: string; scrubbed: boolean }>("POST", `/api/v1/devices/${encodeURIComponent(device)}/release`, { confirm }),
  household: () => ask<Household>("GET", "/api/v1/household"),
  previewKeep: (wish: { days: string; bytes: string }) => ask<KeptSum>("POST", "/api/v1/household/keep/preview", wish),
  setKeep: (wish: { days: string; bytes: string }) => ask<{ days: number; bytes: number }>("PUT", "/api/v1/household/keep", wish),
  orderExport: () => ask<{ url: string }>("POST", "/api/v1/household/export", {}).then((answer) => answer.url),
  exportState: () => ask<ExportState>("GET", "/api/v1/household/export"),
  eraseHousehold: (confirm: string) => ask<void>("POST", "/api/v1/household/erase", { confirm }),
  devices: () => ask<{ devices: Device[] }>("GET", "/api/v1/devices").then((answer) => answer.devices),
};
