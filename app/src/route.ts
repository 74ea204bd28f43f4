// Addresses of the page: /, /events/ID, /devices, /devices/ID, /notifications, /security, /login, /setup#TOKEN.
import { useEffect, useState } from "preact/hooks";

// `state` stays with the page in the history; popstate listeners read it there.
export function go(path: string, replace = false, state: Record<string, string> | null = null): void {
  if (replace) history.replaceState(state, "", path);
  else history.pushState(state, "", path);
  dispatchEvent(new PopStateEvent("popstate"));
}

export function useRoute(): string {
  const [path, setPath] = useState(location.pathname);
  useEffect(() => {
    const read = () => setPath(location.pathname);
    addEventListener("popstate", read);
    return () => removeEventListener("popstate", read);
  }, []);
  return path;
}
