-- Households, devices, services, and every certificate ever issued to them.
create table household (
    id       text primary key,
    name     text not null,
    timezone text not null,
    added_ms integer not null
) strict, without rowid;

create table device (
    id           text primary key,
    product      text not null,
    household    text not null references household (id),
    added_ms     integer not null,
    revoked_ms   integer,
    last_seen_ms integer not null default 0
) strict, without rowid;
create index device_household on device (household);

create table service (
    name          text primary key,
    any_client_id integer not null default 0,
    added_ms      integer not null
) strict, without rowid;

-- kind and name are not references: a certificate's row outlives the device it was issued to.
create table certificate (
    fingerprint   blob primary key check (length(fingerprint) = 32),
    kind          text not null check (kind in ('device', 'service')),
    name          text not null,
    serial        text not null unique,
    key_hash      blob not null check (length(key_hash) = 32),
    not_before_ms integer not null,
    not_after_ms  integer not null,
    issued_ms     integer not null,
    revoked_ms    integer
) strict, without rowid;
create index certificate_principal on certificate (kind, name);
create index certificate_key on certificate (key_hash);

insert into household (id, name, timezone, added_ms) values ('home', 'Home', 'UTC', 0);
