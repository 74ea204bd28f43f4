-- Browsers that push messages go to, what is on its way to them, and when people want to be left alone.

-- endpoint: the address that the browser's push service gave; whoever knows it may try to write there.
-- p256dh, auth: the browser's keys (RFC 8291).
create table push_subscription (
    id          text primary key,
    account     text not null references account (id) on delete cascade,
    endpoint    text not null unique,
    p256dh      blob not null check (length(p256dh) = 65),
    auth        blob not null check (length(auth) = 16),
    created_ms  integer not null,
    delivered   integer not null default 0,
    last_at_ms  integer not null default 0,
    last_status integer not null default 0
) strict, without rowid;
create index push_subscription_account on push_subscription (account, created_ms);

-- notification is null and device empty for a test message.
create table push_delivery (
    id           integer primary key,
    subscription text not null references push_subscription (id) on delete cascade,
    notification integer references notification (seq) on delete cascade,
    device       text not null,
    made_ms      integer not null,
    state        text not null check (state in ('waiting', 'done', 'given-up')),
    attempts     integer not null default 0,
    next_at_ms   integer not null,
    unique (notification, subscription)
) strict;
create index push_delivery_next on push_delivery (next_at_ms) where state = 'waiting';
create index push_delivery_camera on push_delivery (subscription, device, made_ms);

create table push_snooze (
    account  text not null references account (id) on delete cascade,
    device   text not null,
    until_ms integer not null,
    primary key (account, device)
) strict, without rowid;

-- Minutes of the day in the household's time zone; the end is not part of it, and may be before the beginning.
create table push_quiet (
    account text primary key references account (id) on delete cascade,
    begins  integer not null check (begins between 0 and 1439),
    ends    integer not null check (ends between 0 and 1439)
) strict, without rowid;
