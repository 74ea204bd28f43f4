-- How devices come to their certificates by themselves: claim tokens, factory authorities, and which certificate is in use.

-- hash: SHA-256 of the token; key_hash: of the key that spent it, which may ask again when the answer was lost.
create table claim_token (
    hash      blob primary key check (length(hash) = 32),
    device    text not null,
    product   text not null,
    household text not null,
    made_by   text not null,
    made_ms   integer not null,
    ends_ms   integer not null,
    key_hash  blob check (length(key_hash) = 32)
) strict, without rowid;
create index claim_token_household on claim_token (household);

-- fingerprint: of the certificate that signs the devices', the first of pem.
create table factory_ca (
    name        text primary key,
    pem         text not null,
    fingerprint blob not null unique check (length(fingerprint) = 32),
    product     text not null,
    household   text not null,
    added_ms    integer not null
) strict, without rowid;

-- What a product asks of its devices' enrolments beyond what all must show.
create table product (
    name            text primary key,
    channel_binding integer not null default 0,
    hardware_keys   integer not null default 0
) strict, without rowid;

-- The authority and the key by which a device's factory vouched for it.
alter table device add column factory text;
alter table device add column factory_key blob;

-- used_ms: first shown at a door; replaced_ms: dead because a newer one of the same device was.
alter table certificate add column used_ms integer;
alter table certificate add column replaced_ms integer;
update certificate set used_ms = issued_ms;
