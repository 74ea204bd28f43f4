-- Whose turn it is at the one thread that sends push messages. served_ms: when the account was last served; of those that are due the one
-- that waited longest comes next. failures: attempts since the last that its push service took; resting_until_ms: nothing is tried before.
create table push_pace (
    account          text primary key references account (id) on delete cascade,
    served_ms        integer not null,
    failures         integer not null default 0,
    resting_until_ms integer not null default 0
) strict, without rowid;
