// Times as the household reads them: in its own time zone, whatever the phone's is. A formatter costs more to make
// than to use a thousand times, and a timeline uses it often: each is made once.

const made = new Map<string, Intl.DateTimeFormat>();

function format(zone: string, options: Intl.DateTimeFormatOptions, locale?: string): Intl.DateTimeFormat {
  const key = `${zone} ${locale ?? ""} ${Object.entries(options).join()}`;
  let one = made.get(key);
  if (!one) {
    try {
      one = new Intl.DateTimeFormat(locale, { ...options, timeZone: zone });
    } catch {
      one = new Intl.DateTimeFormat(locale, options); // a zone this browser does not know
    }
    made.set(key, one);
  }
  return one;
}

export function clock(ms: number, zone: string): string {
  return format(zone, { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(ms);
}

// "2026-05-03". Every offset of every zone is a multiple of a quarter of an hour since 1972, so one look serves a quarter.
const QUARTER = 900_000;
const days = new Map<string, string>();
export function dayKey(ms: number, zone: string): string {
  const quarter = `${zone} ${Math.floor(ms / QUARTER)}`;
  let key = days.get(quarter);
  if (!key) {
    const parts = format(zone, { year: "numeric", month: "2-digit", day: "2-digit" }, "en-US").formatToParts(ms);
    const part = (type: string) => parts.find((each) => each.type === type)?.value ?? "";
    key = `${part("year").padStart(4, "0")}-${part("month")}-${part("day")}`;
    if (days.size > 50_000) days.clear();
    days.set(quarter, key);
  }
  return key;
}

// The day that many days after (or, negative, before) a day.
export function dayAfter(key: string, count: number): string {
  return new Date(Date.parse(`${key}T12:00:00Z`) + count * 86_400_000).toISOString().slice(0, 10);
}

export function dayName(key: string, zone: string): string {
  const today = dayKey(Date.now(), zone);
  if (key === today) return "Today";
  if (key === dayAfter(today, -1)) return "Yesterday";
  const noon = Date.parse(`${key}T12:00:00Z`);
  return format("UTC", { weekday: "long", day: "numeric", month: "long", year: "numeric" }).format(noon);
}

// "20 Nov" or "20 Nov 2025", as the reader's language has it.
export function shortDay(key: string): string {
  const noon = Date.parse(`${key}T12:00:00Z`);
  const sameYear = key.slice(0, 4) === new Date().toISOString().slice(0, 4);
  return format("UTC", { day: "numeric", month: "short", ...(sameYear ? {} : { year: "numeric" }) }).format(noon);
}

export function day(ms: number, zone: string): string {
  return dayName(dayKey(ms, zone), zone);
}

export function full(ms: number, zone: string): string {
  return format(zone, { dateStyle: "full", timeStyle: "medium" }).format(ms);
}

export function brief(ms: number, zone: string): string {
  return format(zone, { dateStyle: "medium", timeStyle: "short" }).format(ms);
}

// "3 May 2026"
export function date(ms: number, zone: string): string {
  return format(zone, { day: "numeric", month: "long", year: "numeric" }).format(ms);
}

export function ago(ms: number): string {
  const seconds = Math.max(0, Math.round((Date.now() - ms) / 1000));
  const words = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  if (seconds < 45) return "just now";
  if (seconds < 3600) return words.format(-Math.round(seconds / 60), "minute");
  if (seconds < 86_400) return words.format(-Math.round(seconds / 3600), "hour");
  return words.format(-Math.round(seconds / 86_400), "day");
}
