// The frame around every page of a signed-in person: where you are, whether the page is live, the way out.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { User } from "../api";
import { live } from "../live";
import { BellIcon, DevicesIcon, GearIcon, LampIcon, OutIcon, ShieldIcon, TimelineIcon } from "./icons";

function LiveDot() {
  const [on, setOn] = useState(false);
  useEffect(() => live.onState(setOn), []);
  return <span class={on ? "live live-on" : "live"}>{on ? "Live" : "Connecting…"}</span>;
}

export function Frame(props: { path: string; user: User; onSignOut: () => void; children: ComponentChildren }) {
  const here = (path: string) => (props.path === path || (path !== "/" && props.path.startsWith(`${path}/`)) ? { "aria-current": "page" as const } : {});
  return (
    <>
      <a class="skip" href="#main" onClick={(click) => { click.preventDefault(); document.getElementById("main")?.focus(); }}>Skip to content</a>
      <header class="top">
        <a class="brand" href="/"><LampIcon /><span>Porchlight</span></a>
        <span class="house">{props.user.household_name}</span>
        <LiveDot />
        <button type="button" class="out" onClick={props.onSignOut} title="Sign out"><OutIcon /><span class="hidden">Sign out</span></button>
      </header>
      <nav class="tabs" aria-label="Pages">
        <a href="/" {...here("/")}><TimelineIcon />Timeline</a>
        <a href="/devices" {...here("/devices")}><DevicesIcon />Devices</a>
        <a href="/notifications" {...here("/notifications")}><BellIcon />Notifications</a>
        <a href="/security" {...here("/security")}><ShieldIcon />Security</a>
        <a href="/settings" {...here("/settings")}><GearIcon />Settings</a>
      </nav>
      <main id="main" tabIndex={-1} class={props.path === "/" ? "wide" : ""}>{props.children}</main>
    </>
  );
}
