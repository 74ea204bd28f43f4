// The timeline: what happened at home, newest first, by day. However long it is, only the cards near the window are elements
// of the page; the address holds the filter, so that a view can be kept, shared in the household and come back to.
import { useEffect, useLayoutEffect, useReducer, useRef, useState } from "preact/hooks";
import { api, type HomeEvent, type User } from "../api";
import { feedOf, isPerson, searchOf, type Feed, type Filter } from "../feed";
import { layOut, measure, visible, type Card, type Day, type Measure } from "../layout";
import { ChevronIcon, CloseIcon, DayIcon, PersonIcon, PlayIcon } from "../parts/icons";
import { Alert, Notice } from "../parts/notice";
import { Picture } from "../parts/picture";
import { go } from "../route";
import { clock, dayAfter, dayKey, dayName, full, shortDay } from "../when";

const FIRST_PAGE = 30, PAGE = 100;
const AHEAD = 600; // pixels beyond the window that are elements already
const STEP = 200; // the window moves by so many pixels before anything is drawn anew

const whatOf = (event: HomeEvent) => `${isPerson(event) ? "Person" : "Motion"} at ${event.device}`;

function Item({ card, zone, m, size }: { card: Card; zone: string; m: Measure; size: number }) {
  const { event } = card;
  const person = isPerson(event);
  return (
    <li class={m.columns === 1 ? "event" : "event event-tall"} data-event={event.id} aria-posinset={card.index + 1} aria-setsize={size}
      style={{ top: card.top, left: card.column * (m.card + m.gap), width: m.card, height: m.row }}>
      <a href={`/events/${encodeURIComponent(event.id)}`}>
        <Picture src={event.person?.picture ?? event.thumbnail} box={event.person?.box ?? null} alt="" />
        <div class="event-words">
          <span class="event-title">{whatOf(event)}</span>
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

function DaySection({ day, whole, zone, m }: { day: Day; whole: number; zone: string; m: Measure }) {
  const id = `day-${day.key}`;
  return (
    <section class="day" aria-labelledby={id} style={{ top: day.top, height: day.height }}>
      <h2 id={id} style={{ height: m.heading }}><span>{dayName(day.key, zone)}</span></h2>
      <ul>{day.cards.map((card) => <Item key={card.event.id} card={card} zone={zone} m={m} size={whole} />)}</ul>
    </section>
  );
}

// What is drawn follows the window's place; a card that has the focus stays, wherever it is scrolled to.
function Cards({ feed, zone }: { feed: Feed; zone: string }) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [place, setPlace] = useState(feed.scroll);
  const [focus, setFocus] = useState<string | null>(null);
  const cached = useRef<{ events: HomeEvent[]; width: number; layout: ReturnType<typeof layOut> } | null>(null);
  const m = measure(width);
  if (width > 0 && (cached.current?.events !== feed.events || cached.current.width !== width))
    cached.current = { events: feed.events, width, layout: layOut(feed.events, zone, m) };
  const layout = width > 0 ? cached.current?.layout : undefined;

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const watch = new ResizeObserver(() => setWidth(Math.floor(element.clientWidth)));
    watch.observe(element);
    setWidth(Math.floor(element.clientWidth));
    return () => watch.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (width > 0 && feed.scroll > 0) scrollTo({ top: feed.scroll, behavior: "instant" });
  }, [width > 0]);
  useEffect(() => {
    let asked = 0;
    const look = () => {
      asked = 0;
      feed.scroll = scrollY;
      feed.holding = scrollY > 300;
      setPlace(Math.floor(scrollY / STEP) * STEP);
    };
    const soon = () => { if (!asked) asked = requestAnimationFrame(look); };
    addEventListener("scroll", soon, { passive: true });
    return () => {
      removeEventListener("scroll", soon);
      cancelAnimationFrame(asked);
    };
  }, [feed]);
  const end = place + innerHeight + AHEAD + STEP;
  useEffect(() => {
    if (layout && !feed.ended && !feed.wrong && end + innerHeight * 2 > layout.height) void feed.more(PAGE);
  });
  const offset = box.current?.offsetTop ?? 0;
  const shown = layout ? visible(layout, m, place - offset - AHEAD, end - offset, focus) : [];
  const wholes = new Map(layout?.days.map((day) => [day.key, day.cards.length]));
  return (
    <div ref={box} class="timeline" style={{ height: layout?.height ?? 0 }}
      onFocusIn={(at: FocusEvent) => setFocus((at.target as Element).closest("[data-event]")?.getAttribute("data-event") ?? null)}
      onFocusOut={() => setFocus(null)}>
      {shown.map((day) => <DaySection key={day.key} day={day} whole={wholes.get(day.key) ?? 0} zone={zone} m={m} />)}
    </div>
  );
}

// A touch anywhere on the control opens the browser's own calendar, where it lets a page ask for it.
function openPicker(input: HTMLInputElement): void {
  try {
    input.showPicker();
  } catch { /* the browser opens it by itself, or takes the date from the keyboard */ }
}

function Filters({ filter, zone, cameras }: { filter: Filter; zone: string; cameras: string[] }) {
  const set = (change: Partial<Filter>) => go(`/${searchOf({ ...filter, ...change })}`);
  const today = dayKey(Date.now(), zone);
  const some = filter.camera !== null || filter.day !== null || filter.person;
  const list = filter.camera && !cameras.includes(filter.camera) ? [...cameras, filter.camera] : cameras;
  return (
    <form class="filters" role="search" aria-label="Filter the timeline" onSubmit={(event) => event.preventDefault()}>
      <select aria-label="Camera" class={filter.camera ? "chosen" : ""} value={filter.camera ?? ""}
        onChange={(box) => set({ camera: box.currentTarget.value || null })}>
        <option value="">All cameras</option>
        {list.map((each) => <option key={each} value={each}>{each}</option>)}
      </select>
      <span class={filter.day ? "pick chosen" : "pick"}>
        {filter.day && <button type="button" class="step" aria-label="The day before" onClick={() => set({ day: dayAfter(filter.day ?? today, -1) })}><ChevronIcon turn={180} /></button>}
        <span class="date">
          {!filter.day && <DayIcon />}<span aria-hidden="true">{filter.day ? shortDay(filter.day) : "Day"}</span>
          <input type="date" aria-label="Day" max={today} value={filter.day ?? ""} onClick={(box) => openPicker(box.currentTarget)}
            onChange={(box) => set({ day: box.currentTarget.value || null })} />
        </span>
        {filter.day && <button type="button" class="step" aria-label="The day after" disabled={filter.day >= today} onClick={() => set({ day: dayAfter(filter.day ?? today, 1) })}><ChevronIcon turn={0} /></button>}
      </span>
      <button type="button" class="toggle" aria-pressed={filter.person} onClick={() => set({ person: !filter.person })}><PersonIcon />Persons</button>
      {some && <button type="button" class="toggle clear" onClick={() => go("/")}><CloseIcon />Clear</button>}
    </form>
  );
}

function Empty({ filtered }: { filtered: boolean }) {
  if (filtered)
    return (
      <Notice title="Nothing was seen">
        <p>Nothing happened that fits this camera, day and kind.</p>
        <p><a href="/">Show everything</a></p>
      </Notice>
    );
  return (
    <Notice title="Nothing has happened yet">
      <p>As soon as a camera sees motion, it appears here by itself.</p>
      <p>No camera yet? On the hub's machine, give one an identity and start it:</p>
      <pre tabIndex={0}>{"porchlight -C DIR device add front-door --product camera --out front-door\nporchlight-camera front-door --source FILM"}</pre>
      <p><a href="/devices">See your devices</a></p>
    </Notice>
  );
}

function Waiting() {
  return (
    <div class="ghosts">
      <p class="hidden" role="status">Loading the timeline…</p>
      {[0, 1, 2, 3, 4].map((each) => <div key={each} class="ghost" aria-hidden="true" />)}
    </div>
  );
}

// Said aloud by screen readers; what is new while the reader is further down also waits behind a button.
function News({ feed, zone }: { feed: Feed; zone: string }) {
  const [said, setSaid] = useState("");
  useEffect(() => feed.onNews((event) => setSaid(`New: ${whatOf(event)}, ${clock(event.at_ms, zone)}`)), [feed]);
  const waiting = feed.held.length;
  const show = () => {
    feed.show();
    scrollTo({ top: 0, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth" });
  };
  return (
    <>
      <p class="hidden" role="status" aria-live="polite" data-news>{said}</p>
      {waiting > 0 && <button type="button" class="fresh" onClick={show}>{waiting === 1 ? "1 new event" : `${waiting} new events`}</button>}
    </>
  );
}

export function TimelinePage({ user, filter }: { user: User; filter: Filter }) {
  const [, draw] = useReducer((count: number) => count + 1, 0);
  const [cameras, setCameras] = useState<string[]>([]);
  const feed = feedOf(user.name, user.timezone, filter);
  useEffect(() => {
    document.title = "Timeline · Porchlight";
    history.scrollRestoration = "manual";
    api.devices().then((list) => setCameras(list.map((each) => each.id)), () => undefined);
  }, []);
  useEffect(() => {
    if (feed.scroll === 0) scrollTo({ top: 0, behavior: "instant" });
    const stop = feed.onChange(() => draw(0));
    if (!feed.loaded) void feed.more(FIRST_PAGE);
    return stop;
  }, [feed]);
  const filtered = searchOf(filter) !== "";
  return (
    <>
      <h1 class="hidden">Timeline</h1>
      {(cameras.length > 0 || filtered) && <Filters filter={filter} zone={user.timezone} cameras={cameras} />}
      <Alert text={feed.wrong} />
      {feed.wrong && <button type="button" class="button quiet" onClick={() => feed.again(PAGE)}>Try again</button>}
      <News feed={feed} zone={user.timezone} />
      {!feed.loaded && !feed.wrong && <Waiting />}
      {feed.loaded && feed.events.length === 0 && <Empty filtered={filtered} />}
      {feed.loaded && feed.events.length > 0 && <Cards key={searchOf(filter)} feed={feed} zone={user.timezone} />}
      {feed.loaded && feed.events.length > 0 && (
        <p class="end" role="status">{feed.ended ? "That is everything." : "Loading earlier events…"}</p>
      )}
    </>
  );
}
