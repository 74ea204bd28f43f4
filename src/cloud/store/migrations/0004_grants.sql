-- Groups, who is in them, and what they may do. Permissions come from here only.
create table access_group (
    name     text primary key,
    added_ms integer not null
) strict, without rowid;

-- kind: 'devices' (every device; value is ''), 'device' (id), 'product', 'household', 'service' (name)
create table access_member (
    group_name text not null references access_group (name) on delete cascade,
    kind       text not null check (kind in ('devices', 'device', 'product', 'household', 'service')),
    value      text not null,
    primary key (group_name, kind, value)
) strict, without rowid;
create index access_member_value on access_member (kind, value);

-- actions: words by comma, as in the command line: 'publish,subscribe'
create table access_statement (
    group_name text not null references access_group (name) on delete cascade,
    position   integer not null,
    effect     text not null check (effect in ('allow', 'deny')),
    actions    text not null,
    filter     text not null,
    primary key (group_name, position)
) strict, without rowid;

insert into access_group (name, added_ms) values ('devices', 0);
insert into access_member (group_name, kind, value) values ('devices', 'devices', '');
-- A device publishes below its own name, not at it ('d/ID' is no topic of its own); it may listen to all of it.
insert into access_statement (group_name, position, effect, actions, filter) values
    ('devices', 0, 'allow', 'publish', 'd/${device.id}/+/#'),
    ('devices', 1, 'allow', 'subscribe,receive', 'd/${device.id}/#');
