// The timeline: what happened at home, newest first, by day; live at the top, older pages on request.
import { useEffect, useState } from "preact/hooks";
import { api, type HomeEvent, type User } from "../api";
import { live } from "../live";
import { PersonIcon, PlayIcon } from "../parts/icons";
import { Alert, Notice } from "../parts/notice";
import { Picture } from "../parts/picture";
import { clock, day, full } from "../when";

// The list with one event put in its place: known ones are renewed, new ones enter by time.
export function merge(list: HomeEvent[], event: HomeEvent): HomeEvent[] {
  const rest = list.filter((each) => each.id !== event.id);
  const at = rest.findIndex((each) => each.at_ms <= event.at_ms);
  return at < 0 ? [...rest, event] : [...rest.slice(0, at), event, ...rest.slice(at)];
}

// What is told as a person: not what somebody has corrected, nor what was held back because of that.
export const isPerson = (event: HomeEvent): boolean => event.person !== null && !event.person.feedback && !event.person.held_back;

function Row({ event, zone }: { event: HomeEvent; zone: string }) {
  const person = isPerson(event);
  const what = person ? "Person" : "Motion";
  return (
    <li class="event" data-event={event.id}>
      <a href={`/events/${encodeURIComponent(event.id)}`}>
        <Picture src={event.person?.picture ?? event.thumbnail} box={event.person?.box ?? null} alt="" />
        <div class="event-words">
          <span class="event-title">{what} at {event.device}</span>
          <time dateTime={new Date(event.at_ms).toISOString()} title={full(event.at_ms, zone)}>{clock(event.at_ms, zone)}</time>
          <span class="badges">
            {person && <span class="badge badge-person"><PersonIcon />Person</span>}
            {event.person && !person && <span class="badge badge-doubt">{event.person.feedback ? "Not a person" : "Perhaps a person"}</span>}
            {event.clip && <span class="badge"><PlayIcon />{event.clip.state === "complete" ? "Clip" : "Recording"}</span>}
          </span>
        </div>
      </a>
    </li>
  );
}

function byDay(events: HomeEvent[], zone: string): [string, HomeEvent[]][] {
  const days: [string, HomeEvent[]][] = [];
  for (const event of events) {
    const name = day(event.at_ms, zone);
    const last = days[days.length - 1];
    if (last && last[0] === name) last[1].push(event);
    else days.push([name, [event]]);
  }
  return days;
}

function Empty() {
  return (
    <Notice title="Nothing has happened yet">
      <p>As soon as a camera sees motion, it appears here by itself.</p>
      <p>No camera yet? On the hub's machine, give one an identity and start it:</p>
      <pre tabIndex={0}>{"porchlight -C DIR device add front-door --product camera --out front-door\nporchlight-camera front-door --source FILM"}</pre>
      <p><a href="/devices">See your devices</a></p>
    </Notice>
  );
}

export function TimelinePage({ user }: { user: User }) {
  const [events, setEvents] = useState<HomeEvent[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const load = (before: string | null) =>
    api.events(before).then((page) => {
      setEvents((old) => page.events.reduce(merge, before ? old ?? [] : []));
      setNext(page.next);
      setWrong(null);
    }, (failed: Error) => setWrong(failed.message));
  useEffect(() => {
    document.title = "Timeline · Porchlight";
    void load(null);
    const put = (event: HomeEvent) => setEvents((old) => merge(old ?? [], event));
    const stops = [
      live.on("motion", put),
      live.on("event", put),
      live.on("person", (news) => put(news.event)),
      live.on("deleted", (news) => setEvents((old) => (old ?? []).filter((each) => each.id !== news.event))),
      live.on("clip", (news) => {
        if (news.event) api.event(news.event).then(put, () => undefined);
      }),
    ];
    return () => stops.forEach((stop) => stop());
  }, []);
  if (!events) return wrong ? <Alert text={wrong} /> : <p class="waiting" role="status">Loading the timeline…</p>;
  return (
    <>
      <h1 class="hidden">Timeline</h1>
      <Alert text={wrong} />
      {events.length === 0 && <Empty />}
      {byDay(events, user.timezone).map(([name, list]) => (
        <section key={name} class="day">
          <h2>{name}</h2>
          <ul>{list.map((event) => <Row key={event.id} event={event} zone={user.timezone} />)}</ul>
        </section>
      ))}
      {next && <button type="button" class="button wide quiet" onClick={() => void load(next)}>Show earlier events</button>}
    </>
  );
}
