// Drawn here, so that no icon is fetched from anywhere. All are decoration: the word beside them speaks.
import type { ComponentChildren } from "preact";

function Icon({ children }: { children: ComponentChildren }) {
  return (
    <svg viewBox="0 0 24 24" width="24" height="24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round"
      stroke-linejoin="round" aria-hidden="true" focusable="false">{children}</svg>
  );
}

export const TimelineIcon = () => <Icon><path d="M4 6h16M4 12h16M4 18h10" /></Icon>;
export const DevicesIcon = () => <Icon><rect x="3" y="7" width="13" height="10" rx="2" /><path d="m16 11 5-3v8l-5-3" /></Icon>;
export const BellIcon = () => <Icon><path d="M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 20.5h4" /></Icon>;
export const OutIcon = () => <Icon><path d="M9 4H6a2 2 0 0 0-2 2v12a2 2 0 0 0 2 2h3M15 8l4 4-4 4M19 12H9" /></Icon>;
export const PersonIcon = () => <Icon><circle cx="12" cy="7" r="3.2" /><path d="M5.5 20a6.5 6.5 0 0 1 13 0" /></Icon>;
export const PlayIcon = () => <Icon><path d="m8 5 11 7-11 7z" fill="currentColor" /></Icon>;
export const ShieldIcon = () => <Icon><path d="M12 3.5 5 6v5.5c0 4.2 2.9 7.5 7 9 4.1-1.5 7-4.8 7-9V6z" /></Icon>;
export const GearIcon = () => <Icon><circle cx="12" cy="12" r="3.2" /><path d="M12 2.8v3M12 18.2v3M2.8 12h3M18.2 12h3M5.5 5.5l2.1 2.1M16.4 16.4l2.1 2.1M5.5 18.5l2.1-2.1M16.4 7.6l2.1-2.1" /></Icon>;
export const DayIcon = () => <Icon><rect x="4" y="5.5" width="16" height="14.5" rx="2.5" /><path d="M4 10h16M8.5 3v4M15.5 3v4" /></Icon>;
export const CloseIcon = () => <Icon><path d="m6 6 12 12M18 6 6 18" /></Icon>;
export const ChevronIcon = ({ turn }: { turn: 0 | 180 }) => <Icon><path d={turn === 0 ? "m9 5 7 7-7 7" : "m15 5-7 7 7 7"} /></Icon>;
export const LampIcon = () => (
  <svg viewBox="0 0 64 64" width="28" height="28" aria-hidden="true" focusable="false">
    <path d="M20 27 32 14l12 13v20a3 3 0 0 1-3 3H23a3 3 0 0 1-3-3z" fill="currentColor" opacity=".25" />
    <circle cx="32" cy="33" r="8" fill="#ffc45c" /><path d="M32 14v9" stroke="#ffc45c" stroke-width="3" stroke-linecap="round" />
  </svg>
);
