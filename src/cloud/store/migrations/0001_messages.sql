-- The log of stored messages. seq is given by the writer, rises by one and is never used twice: retention
-- always leaves the newest row.
create table message (
    seq     integer primary key,
    at_ms   integer not null,
    device  text not null,
    topic   text not null,
    qos     integer not null,
    payload blob not null
) strict;
