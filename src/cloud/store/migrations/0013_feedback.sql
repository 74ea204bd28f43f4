-- "Not a person": what people said of an event, and what follows from it.

-- One row an event; x, y, w, h and score are those of the false alarm.
create table feedback (
    event   text primary key,
    device  text not null,
    said_by text not null,
    said_ms integer not null,
    score   real not null,
    x real not null, y real not null, w real not null, h real not null
) strict, without rowid;
create index feedback_device on feedback (device, said_ms);

-- held_back: 1 when the person was not told of, because of what was said of the same spot before.
alter table person add column held_back integer not null default 0;
-- verdict: '' or 'not-a-person', as people said afterwards.
alter table notification add column verdict text not null default '';
