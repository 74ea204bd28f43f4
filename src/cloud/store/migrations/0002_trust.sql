-- Decisions that change trust, each row's hash over the one before (see trust.h).
create table trust (
    seq     integer primary key,
    at_ms   integer not null,
    kind    text not null,
    who     text not null,
    subject text not null,
    detail  text not null,
    hash    blob not null check (length(hash) = 32)
) strict;
