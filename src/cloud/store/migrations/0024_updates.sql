-- What the published update repository says: roles and releases. The signed files themselves lie in DIR/updates.
create table update_role (
    name       text primary key,
    version    integer not null,
    expires_ms integer not null,
    threshold  integer not null,
    keys       text not null,
    signers    text not null
) strict, without rowid;

create table update_release (
    product         text not null,
    version         text not null,
    path            text not null,
    sha256          text not null,
    bytes           integer not null,
    serial          integer not null,
    counter         integer not null,
    severity        text not null,
    hardware        text not null,
    notes           text not null,
    supported_until text not null,
    released_ms     integer not null,
    published_ms    integer not null,
    withdrawn_ms    integer not null default 0,
    role            text not null,
    signers         text not null,
    primary key (product, version)
) strict, without rowid;
