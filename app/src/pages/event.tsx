// One event: its clip, and what, where, when and why.
import { useEffect, useState } from "preact/hooks";
import { useAnswers } from "../answers";
import { api, Problem, type HomeEvent, type User } from "../api";
import { live } from "../live";
import { Confirm } from "../parts/confirm";
import { Alert, Notice } from "../parts/notice";
import { Picture } from "../parts/picture";
import { isPerson } from "../feed";
import { go } from "../route";
import { full } from "../when";

function size(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function Player({ event }: { event: HomeEvent }) {
  const [broken, setBroken] = useState(false);
  const picture = event.person?.picture ?? event.thumbnail;
  if (!event.clip || event.clip.state !== "complete")
    return (
      <figure>
        <Picture src={picture} box={event.person?.box ?? null} alt={`Picture of the event at ${event.device}`} />
        <figcaption role="status">{event.clip ? "The clip is still arriving; it plays here as soon as it is whole." : "This event has no clip."}</figcaption>
      </figure>
    );
  return (
    <>
      <video class="player" controls playsInline preload="auto" src={event.clip.url} {...(picture ? { poster: picture } : {})}
        aria-label={`Clip from ${event.device}`} onError={() => setBroken(true)} />
      <Alert text={broken ? "This browser could not play the clip. Download it below instead." : null} />
    </>
  );
}

function Feedback({ event, zone, say }: { event: HomeEvent; zone: string; say: (verdict: "not-a-person" | "none") => void }) {
  const said = event.person?.feedback;
  return (
    <section class="card" aria-labelledby="feedback">
      <h2 id="feedback">Was it a person?</h2>
      {event.person?.held_back && !said && <p>Nobody was notified: somebody said of this spot that it was no person, and the analysis is hardly surer now.</p>}
      <p role="status">{said ? `${said.by} said "not a person", ${full(said.at_ms, zone)}.` : "If the analysis was wrong, say so: it will have to be surer at this spot for a while."}</p>
      {said ? <button type="button" class="plain" onClick={() => say("none")}>It was a person after all</button>
        : <button type="button" class="plain" onClick={() => say("not-a-person")}>Not a person</button>}
    </section>
  );
}

export function EventPage({ id, user }: { id: string; user: User }) {
  const [event, setEvent] = useState<HomeEvent | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const [gone, setGone] = useState(false);
  const answers = useAnswers();
  const fail = (failed: Error) => setWrong(failed.message);
  useEffect(() => {
    document.title = "Event · Porchlight";
    let there = false;
    const take = (now: HomeEvent) => { there = true; setEvent(now); };
    const load = () => void answers.latest(api.event(id), take, (failed) => {
      if (there && failed instanceof Problem && failed.status === 404) setGone(true);
      else fail(failed);
    });
    load();
    const stops = [
      live.on("clip", (news) => { if (!news.event || news.event === id) load(); }),
      live.on("person", (news) => { if (news.event?.id === id) setEvent(news.event); }),
      live.on("event", (now) => { if (now.id === id) setEvent(now); }),
      live.on("deleted", (news) => { if (news.event === id) setGone(true); }),
      live.onReturn(load),
    ];
    return () => stops.forEach((stop) => stop());
  }, [id]);
  const remove = () => answers.of(api.deleteEvent(id), () => go("/"), fail);
  if (gone) return <Notice title="This event was deleted"><p role="status">Its clip and pictures are gone from the hub. <a href="/">Back to the timeline</a></p></Notice>;
  if (!event) return wrong ? <Alert text={wrong} /> : <p class="waiting" role="status">Loading the event…</p>;
  const person = event.person;
  return (
    <article class="one">
      <p><a href="/">Back to the timeline</a></p>
      <h1>{isPerson(event) ? "Person" : "Motion"} at {event.device}</h1>
      <Player event={event} />
      <dl>
        <div><dt>When</dt><dd>{full(event.at_ms, user.timezone)}</dd></div>
        <div><dt>Where</dt><dd>{event.device} ({event.product})</dd></div>
        <div><dt>Why</dt><dd>{person
          ? `The hub's analysis saw a person in several pictures (score ${person.score.toFixed(2)}).`
          : `Something moved (${Math.round(event.score * 100)} % of the motion scale); no person was found.`}</dd></div>
        {event.clip?.state === "complete" && (
          <div><dt>Clip</dt><dd><a href={event.clip.url} download={`${event.device}-${event.at_ms}.mp4`}>Download ({size(event.clip.bytes)})</a>
            {event.clip.sha256 && <><br /><span class="hint">SHA-256 <code class="hash">{event.clip.sha256}</code></span></>}</dd></div>
        )}
      </dl>
      <Alert text={wrong} />
      {person && <Feedback event={event} zone={user.timezone} say={(verdict) => void answers.of(api.feedback(id, verdict), setEvent, fail)} />}
      <Confirm label="Delete this event" yes="Delete for good" act={remove}
        question="Clip, pictures and notification are deleted from the hub, for everybody, and cannot be brought back." />
    </article>
  );
}
