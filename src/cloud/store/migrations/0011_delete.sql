-- What people delete stays deleted: a device that sends it again makes no second copy.

-- Which stored messages carried an event (the device may send it more than once): they hold its picture too.
create table event_message (
    seq   integer primary key,
    event text not null
) strict;
create index event_message_event on event_message (event);

-- Each message that is there is parsed once; the table of what they said is for this join only.
create table said_before (seq integer primary key, device text, id text);
insert into said_before
    select seq, device, case when json_valid(cast(payload as text)) then json_extract(cast(payload as text), '$.id') end
    from message where topic = 'd/' || device || '/event/motion';
create index said_before_id on said_before (device, id);
insert or ignore into event_message (seq, event)
    select s.seq, e.uid from event e cross join said_before s on s.device = e.device and s.id = e.device_event;
drop table said_before;

create index notification_event on notification (event);

-- event: the uid of an event that was deleted; nothing else of it is kept. files: 1 once the clip's files are gone.
create table deleted (
    event      text primary key,
    clip       text not null,
    deleted_ms integer not null,
    files      integer not null default 0
) strict, without rowid;
create index deleted_files on deleted (files) where files = 0;
