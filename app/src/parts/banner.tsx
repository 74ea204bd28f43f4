// The live banner: a person was seen just now. It stays until closed, opened or replaced by the next.
import { useEffect, useState } from "preact/hooks";
import type { User } from "../api";
import { live, type PersonNews } from "../live";
import { clock } from "../when";
import { CloseIcon, PersonIcon } from "./icons";

export function Banner({ user }: { user: User }) {
  const [news, setNews] = useState<PersonNews | null>(null);
  useEffect(() => live.on("person", setNews), []);
  useEffect(() => live.on("event", (event) => setNews((now) => (now?.event?.id === event.id && event.person?.feedback ? null : now))), []);
  useEffect(() => live.on("deleted", (gone) => setNews((now) => (now?.event?.id === gone.event ? null : now))), []);
  return (
    <div role="status" aria-live="polite" class="banner-place">
      {news && (
        <div class="banner" data-notification={news.notification.id}>
          <PersonIcon />
          <p><strong>Person at {news.notification.device}</strong> <span>{clock(news.notification.at_ms, user.timezone)}</span></p>
          {news.event && <a class="button" href={`/events/${encodeURIComponent(news.event.id)}`} onClick={() => setNews(null)}>Watch</a>}
          <button type="button" class="plain" title="Dismiss" onClick={() => setNews(null)}><CloseIcon /><span class="hidden">Dismiss</span></button>
        </div>
      )}
    </div>
  );
}
