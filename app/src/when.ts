// Times as the household reads them: in its own time zone, whatever the phone's is.

function format(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat(undefined, { ...options, timeZone: zone });
  } catch {
    return new Intl.DateTimeFormat(undefined, options); // a zone this browser does not know
  }
}

export function clock(ms: number, zone: string): string {
  return format(zone, { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(ms);
}

export function day(ms: number, zone: string): string {
  const name = format(zone, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
  const key = format(zone, { year: "numeric", month: "2-digit", day: "2-digit" });
  const today = Date.now();
  if (key.format(ms) === key.format(today)) return "Today";
  if (key.format(ms) === key.format(today - 86_400_000)) return "Yesterday";
  return name.format(ms);
}

export function full(ms: number, zone: string): string {
  return format(zone, { dateStyle: "full", timeStyle: "medium" }).format(ms);
}

export function brief(ms: number, zone: string): string {
  return format(zone, { dateStyle: "medium", timeStyle: "short" }).format(ms);
}

export function ago(ms: number): string {
  const seconds = Math.max(0, Math.round((Date.now() - ms) / 1000));
  const words = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  if (seconds < 45) return "just now";
  if (seconds < 3600) return words.format(-Math.round(seconds / 60), "minute");
  if (seconds < 86_400) return words.format(-Math.round(seconds / 3600), "hour");
  return words.format(-Math.round(seconds / 86_400), "day");
}
