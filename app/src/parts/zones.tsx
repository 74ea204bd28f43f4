// Zones over a picture: drawn with finger or mouse, or added and moved with the keyboard. The owner keeps the list.
import { useRef, useState } from "preact/hooks";
import type { Zone } from "../api";

const ONE = 10000, STEP = 200, LEAST = 400;
const clamp = (value: number, most: number) => Math.min(Math.max(Math.round(value), 0), most);
const percent = (value: number) => `${Math.round(value / 100)} %`;

function moved([x, y, w, h]: Zone, dx: number, dy: number): Zone {
  return [clamp(x + dx, ONE - w), clamp(y + dy, ONE - h), w, h];
}

function sized([x, y, w, h]: Zone, dw: number, dh: number): Zone {
  return [x, y, Math.max(clamp(w + dw, ONE - x), LEAST), Math.max(clamp(h + dh, ONE - y), LEAST)];
}

const ARROWS: Record<string, [number, number]> = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

interface Drag { kind: "draw" | "move" | "size"; index: number; x: number; y: number; from: Zone }

export function Zones(props: { picture: string | null; zones: Zone[]; most: number; onChange: (zones: Zone[]) => void }) {
  const { zones, onChange } = props;
  const area = useRef<HTMLDivElement>(null);
  const drag = useRef<Drag | null>(null);
  const [drawn, setDrawn] = useState<Zone | null>(null);
  const put = (index: number, zone: Zone) => onChange(zones.map((each, at) => (at === index ? zone : each)));
  const remove = (index: number) => onChange(zones.filter((_, at) => at !== index));
  const at = (event: PointerEvent): [number, number] => {
    const box = area.current?.getBoundingClientRect() ?? new DOMRect(0, 0, 1, 1);
    return [clamp(((event.clientX - box.left) / box.width) * ONE, ONE), clamp(((event.clientY - box.top) / box.height) * ONE, ONE)];
  };
  const start = (event: PointerEvent) => {
    const target = event.target as HTMLElement;
    const [x, y] = at(event);
    const zone = target.closest<HTMLElement>("[data-zone]");
    const index = zone ? Number(zone.dataset["zone"]) : -1;
    const from = zones[index];
    if (from) drag.current = { kind: target.closest(".zone-corner") ? "size" : "move", index, x, y, from };
    else if (zones.length < props.most) drag.current = { kind: "draw", index: -1, x, y, from: [x, y, 0, 0] };
    if (drag.current) area.current?.setPointerCapture(event.pointerId);
  };
  const move = (event: PointerEvent) => {
    const now = drag.current;
    if (!now) return;
    const [x, y] = at(event);
    if (now.kind === "draw") setDrawn([Math.min(x, now.x), Math.min(y, now.y), Math.abs(x - now.x), Math.abs(y - now.y)]);
    else put(now.index, now.kind === "move" ? moved(now.from, x - now.x, y - now.y) : sized(now.from, x - now.x, y - now.y));
  };
  const end = () => {
    if (drag.current?.kind === "draw" && drawn && drawn[2] >= LEAST && drawn[3] >= LEAST) onChange([...zones, drawn]);
    drag.current = null;
    setDrawn(null);
  };
  const key = (event: KeyboardEvent, index: number, zone: Zone) => {
    const arrow = ARROWS[event.key];
    if (arrow) put(index, event.shiftKey ? sized(zone, ...arrow) : moved(zone, ...arrow));
    else if (event.key === "Delete" || event.key === "Backspace") remove(index);
    else return;
    event.preventDefault();
  };
  const place = ([x, y, w, h]: Zone) => ({ left: `${x / 100}%`, top: `${y / 100}%`, width: `${w / 100}%`, height: `${h / 100}%` });
  return (
    <>
      <div class="zones" ref={area} onPointerDown={start} onPointerMove={move} onPointerUp={end} onPointerCancel={end}>
        {props.picture ? <img src={props.picture} alt="The newest picture of this camera" draggable={false} />
          : <p class="zones-empty">No picture yet; zones can be set all the same.</p>}
        {zones.map((zone, index) => (
          <button key={index} type="button" class="zone" data-zone={index} style={place(zone)} onKeyDown={(event) => key(event, index, zone)}
            aria-label={`Zone ${index + 1}: left ${percent(zone[0])}, top ${percent(zone[1])}, width ${percent(zone[2])}, height ${percent(zone[3])}`}>
            <span aria-hidden="true">{index + 1}</span><span class="zone-corner" aria-hidden="true" />
          </button>
        ))}
        {drawn && <div class="zone zone-drawn" style={place(drawn)} />}
      </div>
      <p class="hint">Draw with finger or mouse. By keyboard: arrow keys move a zone, Shift and arrow keys change its size, Delete removes it.</p>
      <ul class="rows">
        {zones.map((_, index) => <li key={index}><span>Zone {index + 1}</span><button type="button" class="plain" onClick={() => remove(index)}>Remove zone {index + 1}</button></li>)}
      </ul>
      <button type="button" class="plain" disabled={zones.length >= props.most}
        onClick={() => {
          onChange([...zones, [3500, 3500, 3000, 3000]]);
          requestAnimationFrame(() => area.current?.querySelector<HTMLElement>(`[data-zone="${zones.length}"]`)?.focus());
        }}>Add a zone</button>
    </>
  );
}
