-- A report touches few places: turns and stories lie by device, only turns that are still to come or under way have an index,
-- and what was found by looking at many rows is counted as it happens.
create table update_turn_by_device (
    device   text not null references device (id) on delete cascade,
    rollout  integer not null,
    stage    integer not null,
    cohort   integer not null,
    state    integer not null default 0,
    attempt  integer not null default 0,
    at_ms    integer not null default 0,
    asked_ms integer not null default 0,
    reason   text not null default '',
    primary key (device, rollout)
) strict, without rowid;
insert into update_turn_by_device (device, rollout, stage, cohort, state, attempt, at_ms, asked_ms, reason)
    select device, rollout, stage, cohort, state, attempt, at_ms, asked_ms, reason from update_turn order by device, rollout;
drop table update_turn;
alter table update_turn_by_device rename to update_turn;
create index update_turn_next on update_turn (rollout, stage, cohort) where state = 0;
create index update_turn_late on update_turn (rollout, at_ms) where state = 1;

-- turns: those of the stage; ended: those that are good or failed; away: those whose turn came and who were not there
create table update_stage (
    rollout integer not null,
    stage   integer not null,
    turns   integer not null,
    ended   integer not null default 0,
    away    integer not null default 0,
    primary key (rollout, stage)
) strict, without rowid;
insert into update_stage (rollout, stage, turns, ended, away)
    select rollout, stage, count(*), sum(state in (2, 3)), sum(state = 4) from update_turn group by rollout, stage;

-- story: the number of the device's newest entry in update_history
alter table update_device add column story integer not null default 0;
create table update_story (
    device  text not null references device (id) on delete cascade,
    seq     integer not null,
    at_ms   integer not null,
    rollout integer not null,
    attempt integer not null,
    running text not null,
    target  text not null,
    state   text not null,
    reason  text not null,
    primary key (device, seq)
) strict, without rowid;
insert into update_story (device, seq, at_ms, rollout, attempt, running, target, state, reason)
    select device, row_number() over (partition by device order by seq), at_ms, rollout, attempt, running, target, state, reason
    from update_history order by device, seq;
drop table update_history;
alter table update_story rename to update_history;
update update_device set story = coalesce((select max(seq) from update_history h where h.device = update_device.device), 0);

-- A device that is removed takes its turns along.
create trigger update_turn_gone after delete on update_turn begin
    update update_stage set turns = turns - 1, ended = ended - (old.state in (2, 3)), away = away - (old.state = 4)
        where rollout = old.rollout and stage = old.stage;
end;

-- Telling those that were asked, some at a time: 0 nobody, 1 that there is nothing to do, 2 their wish again; how far it has come.
alter table update_rollout add column recall integer not null default 0;
alter table update_rollout add column recall_ms integer not null default -1;
alter table update_rollout add column recall_device text not null default '';
