// Addresses of the page: / (?camera=ID&day=DATE&person=1), /events/ID, /devices, /devices/ID, /notifications, /settings, /security,
// /login, /setup#TOKEN.
import { useEffect, useState } from "preact/hooks";

// `state` stays with the page in the history; popstate listeners read it there.
export function go(path: string, replace = false, state: Record<string, string> | null = null): void {
  if (replace) history.replaceState(state, "", path);
  else history.pushState(state, "", path);
  dispatchEvent(new PopStateEvent("popstate"));
}

function useLocation(read: () => string): string {
  const [now, setNow] = useState(read);
  useEffect(() => {
    const look = () => setNow(read());
    addEventListener("popstate", look);
    return () => removeEventListener("popstate", look);
  }, []);
  return now;
}

export const useRoute = (): string => useLocation(() => location.pathname);
// The part behind the question mark: the timeline's filter.
export const useSearch = (): string => useLocation(() => location.search);
