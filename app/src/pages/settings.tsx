// How the page looks in this browser.
import { useEffect, useState } from "preact/hooks";
import { chooseTheme, theme, type Theme } from "../theme";

const THEMES: [Theme, string][] = [["system", "System"], ["light", "Light"], ["dark", "Dark"]];

function Appearance() {
  const [now, setNow] = useState(theme());
  const choose = (next: Theme) => {
    chooseTheme(next);
    setNow(next);
  };
  return (
    <section class="card" aria-labelledby="appearance">
      <h2 id="appearance">Appearance</h2>
      <fieldset class="segments">
        <legend>In this browser</legend>
        {THEMES.map(([key, name]) => (
          <label key={key}><input type="radio" name="theme" checked={now === key} onChange={() => choose(key)} />{name}</label>
        ))}
      </fieldset>
    </section>
  );
}

export function SettingsPage() {
  useEffect(() => { document.title = "Settings · Porchlight"; }, []);
  return (
    <>
      <h1>Settings</h1>
      <Appearance />
    </>
  );
}
