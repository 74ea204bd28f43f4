// Light, dark, or as the system says. The choice stays in this browser.
export type Theme = "system" | "light" | "dark";

const KEY = "porchlight-theme";
const BAR: Record<"light" | "dark", string> = { light: "#14213d", dark: "#0a1020" };

export function theme(): Theme {
  let kept: string | null = null;
  try {
    kept = localStorage.getItem(KEY);
  } catch { /* storage is off: the system's choice */ }
  return kept === "light" || kept === "dark" ? kept : "system";
}

export function applyTheme(): void {
  const chosen = theme();
  const root = document.documentElement;
  if (chosen === "system") delete root.dataset.theme;
  else root.dataset.theme = chosen;
  const dark = chosen === "dark" || (chosen === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.querySelector('meta[name="theme-color"]')?.setAttribute("content", BAR[dark ? "dark" : "light"]);
}

export function chooseTheme(now: Theme): void {
  try {
    if (now === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, now);
  } catch { /* not kept, but applied as far as it goes */ }
  applyTheme();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
