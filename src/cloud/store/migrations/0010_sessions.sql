-- What outlives an MQTT connection: sessions, what they subscribed to and still have under way, and retained
-- messages. A session's queue is not stored: it is every queued message after its cursor that its
-- subscriptions match, but for those in mqtt_flight that are done.

-- The greatest message number ever given; notes use numbers up too and leave no message.
create table store_mark (seq integer not null) strict;
insert into store_mark (seq) select ifnull(max(seq), 0) from message;

-- flags: PORCH_STORE_* in store.h. origin: the publisher's lasting session, 0: none.
alter table message add column flags integer not null default 0;
alter table message add column origin integer not null default 0;
alter table message add column properties blob;
create index message_unruled on message (seq) where (flags & 2) != 0;

-- ended_ms: when its connection ended, 0 while connected. will_*: null without a will.
create table mqtt_session (
    id              integer primary key,
    kind            text not null check (kind in ('device', 'service')),
    name            text not null,
    client_id       text not null,
    version         integer not null,
    expiry_s        integer not null,
    ended_ms        integer not null,
    cursor          integer not null,
    will_topic      text,
    will_properties blob,
    will_payload    blob,
    will_qos        integer not null default 0,
    will_retain     integer not null default 0,
    will_delay_s    integer not null default 0,
    unique (kind, name, client_id)
) strict;

-- filter: as the client sent it, "$share/..." included. since: the number of the subscription itself.
create table mqtt_subscription (
    session    integer not null references mqtt_session (id) on delete cascade,
    filter     text not null,
    options    integer not null,
    identifier integer not null,
    since      integer not null,
    primary key (session, filter)
) strict, without rowid;

-- Packet identifiers of QoS 2 publications taken from a client and not yet released by it.
create table mqtt_received (
    session   integer not null references mqtt_session (id) on delete cascade,
    packet_id integer not null,
    primary key (session, packet_id)
) strict, without rowid;

-- QoS 2 deliveries to a client. state: 1 sent, 2 released, 3 done and ahead of the cursor.
create table mqtt_flight (
    session   integer not null references mqtt_session (id) on delete cascade,
    seq       integer not null,
    packet_id integer not null,
    state     integer not null,
    primary key (session, seq)
) strict, without rowid;

-- Where a shared subscription stands, as a session's cursor.
create table mqtt_share (
    filter text primary key,
    cursor integer not null
) strict, without rowid;

create table mqtt_retained (
    topic      text primary key,
    seq        integer not null,
    at_ms      integer not null,
    qos        integer not null,
    origin     integer not null,
    properties blob,
    payload    blob not null
) strict, without rowid;
