-- How long each household keeps its past, on top of what the hub itself allows; 0 is no limit of its own.
create table media_keep (
    household text primary key,
    days      integer not null,
    bytes     integer not null
) strict, without rowid;

create index event_received on event (household, received_ms);
