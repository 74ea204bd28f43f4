-- Rollouts, each device's turn in them, what each device said last, and the story of each device.
create table update_rollout (
    number     integer primary key autoincrement,
    product    text not null,
    version    text not null,
    sha256     text not null,
    state      text not null,
    why        text not null default '',
    stages     text not null,
    stage      integer not null default 0,
    approve    integer not null default 0,
    awaiting   integer not null default 0,
    rate       integer not null,
    ramp       integer not null default 0,
    errors     integer not null,
    deadline_s integer not null,
    attempts   integer not null,
    dwell_s    integer not null,
    started_ms integer not null,
    stage_ms   integer not null,
    ended_ms   integer not null default 0,
    filled     text not null default '',
    whole      integer not null default 0,
    devices    integer not null default 0,
    asked      integer not null default 0,
    good       integer not null default 0,
    failed     integer not null default 0
) strict;

-- state: 0 its turn has not come, 1 asked, 2 good, 3 failed, 4 its turn came and it was not there
create table update_turn (
    rollout integer not null,
    device  text not null references device (id) on delete cascade,
    stage   integer not null,
    cohort  integer not null,
    state   integer not null default 0,
    attempt integer not null default 0,
    at_ms   integer not null default 0,
    reason  text not null default '',
    primary key (rollout, device)
) strict, without rowid;
create index update_turn_next on update_turn (rollout, stage, cohort) where state = 0;
create index update_turn_late on update_turn (rollout, at_ms) where state = 1;
create index update_turn_away on update_turn (rollout) where state = 4;
create index update_turn_device on update_turn (device);

create table update_device (
    device  text primary key references device (id) on delete cascade,
    running text not null,
    target  text not null,
    state   text not null,
    reason  text not null,
    floor   integer not null,
    bytes   integer not null,
    way     text not null,
    at_ms   integer not null
) strict, without rowid;

create table update_history (
    seq     integer primary key,
    device  text not null references device (id) on delete cascade,
    at_ms   integer not null,
    rollout integer not null,
    attempt integer not null,
    running text not null,
    target  text not null,
    state   text not null,
    reason  text not null
) strict;
create index update_history_device on update_history (device, seq);
