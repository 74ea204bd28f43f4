-- What people were told of, the webhooks that are told too, and how each delivery stands.
create table notification (
    seq                     integer primary key autoincrement,
    id                      text not null unique,
    kind                    text not null,
    event                   text not null,
    device                  text not null,
    product                 text not null,
    household               text not null,
    clip                    text not null,
    at_ms                   integer not null,
    at_local                text not null,
    timezone                text not null,
    score                   real not null,
    box_x                   real not null,
    box_y                   real not null,
    box_w                   real not null,
    box_h                   real not null,
    why                     text not null,
    motion_at_ms            integer not null,
    event_received_ms       integer not null,
    event_durable_ms        integer not null,
    clip_first_byte_ms      integer not null,
    analysis_first_frame_ms integer not null,
    person_found_ms         integer not null,
    durable_ms              integer not null default 0,
    made_ms                 integer not null
) strict;
create index notification_household on notification (household, seq);

create table webhook (
    id         text primary key,
    url        text not null,
    secret     blob not null, -- sealed by the signer
    created_ms integer not null
) strict, without rowid;

create table notification_delivery (
    notification integer not null references notification (seq) on delete cascade,
    webhook      text not null references webhook (id) on delete cascade,
    state        text not null check (state in ('waiting', 'done', 'given-up')),
    attempts     integer not null default 0,
    next_at_ms   integer not null,
    last_at_ms   integer not null default 0,
    last_status  integer not null default 0,
    last_error   text not null default '',
    primary key (notification, webhook)
) strict, without rowid;
create index notification_delivery_next on notification_delivery (next_at_ms) where state = 'waiting';
create index notification_delivery_webhook on notification_delivery (webhook);
