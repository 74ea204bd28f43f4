// The events behind the timeline: pages from the hub, put together with what happens meanwhile. One feed lives as long as its
// filter, so that whoever comes back from an event finds the place that was left. Nothing here knows of the page's looks.
import { Answers } from "./answers";
import { api, type HomeEvent } from "./api";
import { live } from "./live";
import { dayKey } from "./when";

export interface Filter { camera: string | null; day: string | null; person: boolean }

// What is told as a person: not what somebody has corrected, nor what was held back because of that.
export const isPerson = (event: HomeEvent): boolean => event.person !== null && !event.person.feedback && !event.person.held_back;

const NEWEST = 100; // events asked for when the stream returns

const CAMERA = /^[a-z0-9][a-z0-9-]{0,63}$/;
const DAY = /^\d{4}-\d{2}-\d{2}$/;

export function filterOf(search: string): Filter {
  const words = new URLSearchParams(search);
  const camera = words.get("camera") ?? "", day = words.get("day") ?? "";
  return { camera: CAMERA.test(camera) ? camera : null, day: DAY.test(day) ? day : null, person: words.get("person") === "1" };
}

export function searchOf(filter: Filter): string {
  const words = new URLSearchParams();
  if (filter.camera) words.set("camera", filter.camera);
  if (filter.day) words.set("day", filter.day);
  if (filter.person) words.set("person", "1");
  const text = words.toString();
  return text ? `?${text}` : "";
}

const before = (a: HomeEvent, b: HomeEvent) => a.at_ms > b.at_ms || (a.at_ms === b.at_ms && a.received_at_ms > b.received_at_ms);

export class Feed {
  events: HomeEvent[] = [];
  held: HomeEvent[] = []; // arrived while the reader was further down: shown on request, so that nothing moves under a thumb
  loaded = false;
  ended = false;
  wrong: string | null = null;
  scroll = 0;
  holding = false;
  private next: string | null = null;
  private stale = false; // the stream was away, and what it did not tell is still to be asked for
  private told = new Set<string>(); // changed by the stream since that was asked for: it knows better
  private begun = 0; // how often the list began anew
  private busy = false;
  private closed = false;
  private readonly answers = new Answers();
  private readonly known = new Set<string>();
  private readonly listeners = new Set<() => void>();
  private readonly newsListeners = new Set<(event: HomeEvent) => void>();
  private readonly stops: (() => void)[];

  constructor(readonly filter: Filter, readonly zone: string) {
    this.stops = [
      live.on("motion", (event) => this.arrive(event)),
      live.on("event", (event) => this.change(event)),
      live.on("person", (news) => { if (news.event) this.arrive(news.event); }),
      live.on("deleted", (news) => {
        this.told.add(news.event);
        this.leave((each) => each.id === news.event);
        this.tell();
      }),
      live.on("clip", (news) => {
        if (news.event && this.known.has(news.event)) api.event(news.event).then((event) => this.arrive(event), () => undefined);
      }),
      live.onReturn(() => { if (this.loaded) this.catchUp(); }),
    ];
  }

  close(): void {
    this.closed = true;
    this.answers.close();
    this.stops.forEach((stop) => stop());
  }

  onChange(tell: () => void): () => void {
    this.listeners.add(tell);
    return () => this.listeners.delete(tell);
  }

  // What is new enough to be told aloud.
  onNews(tell: (event: HomeEvent) => void): () => void {
    this.newsListeners.add(tell);
    return () => this.newsListeners.delete(tell);
  }

  // The next page, unless one is on its way or all is here.
  async more(count: number): Promise<void> {
    if (this.busy || this.ended || this.closed) return;
    this.busy = true;
    const begun = this.begun;
    try {
      const page = await api.events(count, this.next, this.filter);
      if (begun !== this.begun) return;
      const fresh = page.events.filter((event) => !this.known.has(event.id));
      fresh.forEach((event) => this.known.add(event.id));
      this.events = this.events.concat(fresh);
      this.next = page.next;
      this.ended = page.next === null;
      this.loaded = true;
      this.wrong = null;
    } catch (failed) {
      this.wrong = (failed as Error).message;
    } finally {
      this.busy = false;
      this.tell();
    }
  }

  // After something went wrong.
  again(count: number): void {
    if (this.stale) this.catchUp();
    else void this.more(count);
  }

  show(): void {
    const waiting = this.held;
    this.held = [];
    waiting.forEach((event) => this.place(event));
    this.tell();
  }

  private catchUp(): void {
    this.stale = true;
    this.told = new Set();
    void this.answers.latest(api.events(NEWEST, null, this.filter), (page) => {
      this.stale = false;
      this.wrong = null;
      if (page.next === null || page.events.some((event) => this.known.has(event.id))) this.renew(page.events, page.next === null);
      else this.beginAnew(page.events, page.next);
      this.tell();
    }, (failed) => {
      this.wrong = failed.message;
      this.tell();
    });
  }

  // The newest as they are now: what would be among them and is not was deleted meanwhile, or no longer fits the filter.
  private renew(newest: HomeEvent[], all: boolean): void {
    const names = new Set(newest.map((event) => event.id)), oldest = newest[newest.length - 1];
    this.leave((each) => !names.has(each.id) && !this.told.has(each.id) && (all || (oldest !== undefined && each.at_ms > oldest.at_ms)));
    for (const event of newest.slice().reverse()) if (!this.told.has(event.id)) this.arrive(event);
  }

  // More happened than was asked for.
  private beginAnew(newest: HomeEvent[], next: string): void {
    this.begun++;
    this.known.clear();
    newest.forEach((event) => this.known.add(event.id));
    this.events = newest;
    this.held = [];
    this.next = next;
    this.ended = false;
  }

  private leave(which: (event: HomeEvent) => boolean): void {
    this.held = this.held.filter((each) => !which(each));
    this.events = this.events.filter((each) => !which(each));
  }

  private tell(): void {
    this.listeners.forEach((each) => each());
  }

  private matches(event: HomeEvent): boolean {
    const { camera, day, person } = this.filter;
    return (!camera || event.device === camera) && (!person || isPerson(event)) && (!day || dayKey(event.at_ms, this.zone) === day);
  }

  // Somebody corrected it: it may no longer be what the filter asks for.
  private change(event: HomeEvent): void {
    if (this.matches(event)) return this.arrive(event);
    this.told.add(event.id);
    this.known.delete(event.id);
    this.leave((each) => each.id === event.id);
    this.tell();
  }

  private arrive(event: HomeEvent): void {
    if (!this.loaded || !this.matches(event)) return;
    this.told.add(event.id);
    const news = !this.known.has(event.id);
    const waiting = this.held.findIndex((each) => each.id === event.id);
    if (waiting >= 0) this.held[waiting] = event;
    else if (news && this.holding) this.held = [...this.held, event];
    else this.place(event);
    this.known.add(event.id);
    if (news) this.newsListeners.forEach((each) => each(event));
    this.tell();
  }

  // Known ones are renewed in their place; new ones enter by time, near the top.
  private place(event: HomeEvent): void {
    const list = this.events.slice();
    const there = list.findIndex((each) => each.id === event.id);
    if (there >= 0) list[there] = event;
    else {
      const at = list.findIndex((each) => !before(each, event));
      if (at < 0 && !this.ended) this.known.delete(event.id); // older than all that is loaded: its page will bring it
      else list.splice(at < 0 ? list.length : at, 0, event);
    }
    this.events = list;
  }
}

let current: { key: string; feed: Feed } | null = null;

// The feed of a person and filter: the one that was there, or a new one.
export function feedOf(person: string, zone: string, filter: Filter): Feed {
  const key = `${person} ${zone} ${searchOf(filter)}`;
  if (current?.key !== key) {
    current?.feed.close();
    current = { key, feed: new Feed(filter, zone) };
  }
  return current.feed;
}

export function forgetFeed(): void {
  current?.feed.close();
  current = null;
}
