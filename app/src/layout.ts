// Where each card of a timeline stands, without asking the browser: cards and headings have known sizes, so a hundred thousand
// events are a table of numbers, and only those near the window become elements.
import type { HomeEvent } from "./api";
import { dayKey } from "./when";

export interface Measure { columns: number; card: number; row: number; heading: number; gap: number }
export interface Card { event: HomeEvent; index: number; top: number; column: number } // top: within its day
export interface Day { key: string; top: number; height: number; cards: Card[] }
export interface Layout { days: Day[]; height: number }

// What fits into so many pixels: one column of rows on a phone, two or three of cards with the picture on top beyond.
export function measure(width: number): Measure {
  const gap = width < 600 ? 10 : 16;
  const columns = width < 600 ? 1 : width < 900 ? 2 : 3;
  const card = Math.floor((width - gap * (columns - 1)) / columns);
  return { columns, card, row: columns === 1 ? 112 : Math.round(card * 0.75) + 76, heading: 52, gap };
}

export function layOut(events: HomeEvent[], zone: string, m: Measure): Layout {
  const days: Day[] = [];
  let height = 0, day: Day | undefined, key = "";
  for (const event of events) {
    const own = dayKey(event.at_ms, zone);
    if (!day || own !== key) {
      key = own;
      day = { key, top: height, height: m.heading, cards: [] };
      days.push(day);
      height += m.heading;
    }
    const index = day.cards.length, column = index % m.columns;
    if (column === 0) {
      day.height += m.row + m.gap;
      height += m.row + m.gap;
    }
    day.cards.push({ event, index, column, top: m.heading + Math.floor(index / m.columns) * (m.row + m.gap) });
  }
  return { days, height };
}

// The first of a sorted list whose end lies below `at`.
function firstBelow<T>(list: T[], at: number, end: (one: T) => number): number {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (end(list[middle] as T) > at) high = middle;
    else low = middle + 1;
  }
  return low;
}

// The days that touch [from, to), each with only the cards that do; and, wherever it is, the card to keep.
export function visible(layout: Layout, m: Measure, from: number, to: number, keep: string | null): Day[] {
  const shown: Day[] = [];
  for (let i = firstBelow(layout.days, from, (day) => day.top + day.height); i < layout.days.length; i++) {
    const day = layout.days[i] as Day;
    if (day.top >= to) break;
    const cards: Card[] = [];
    for (let c = firstBelow(day.cards, from - day.top, (card) => card.top + m.row); c < day.cards.length; c++) {
      const card = day.cards[c] as Card;
      if (day.top + card.top >= to) break;
      cards.push(card);
    }
    shown.push({ ...day, cards });
  }
  if (keep !== null && !shown.some((day) => day.cards.some((card) => card.event.id === keep))) {
    for (const day of layout.days) {
      const card = day.cards.find((each) => each.event.id === keep);
      if (!card) continue;
      const there = shown.find((each) => each.key === day.key);
      if (there) there.cards = [...there.cards, card].sort((a, b) => a.index - b.index);
      else if (day.top < from) shown.unshift({ ...day, cards: [card] });
      else shown.push({ ...day, cards: [card] });
      break;
    }
  }
  return shown;
}
