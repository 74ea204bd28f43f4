-- What each device should be (desired: the whole document that the device is sent) and what it said last (reported).
create table device_twin (
    device           text primary key references device (id) on delete cascade,
    desired_version  integer not null default 0,
    desired          text not null default '',
    desired_ms       integer not null default 0,
    reported_version integer not null default 0,
    reported         text not null default '',
    reported_ms      integer not null default 0
) strict, without rowid;
