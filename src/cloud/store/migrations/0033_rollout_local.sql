-- Reports of a fleet that is asked in the order of its cohorts come in about that order: so turns lie by cohort, which is computed
-- from a device's name, and neighbours in time are neighbours on a page. Stories are appended; each entry knows the one before.
create table update_turn_by_cohort (
    rollout  integer not null,
    cohort   integer not null,
    device   text not null references device (id) on delete cascade,
    stage    integer not null,
    state    integer not null default 0,
    attempt  integer not null default 0,
    at_ms    integer not null default 0,
    asked_ms integer not null default 0,
    reason   text not null default '',
    primary key (rollout, cohort, device)
) strict, without rowid;
insert into update_turn_by_cohort (rollout, cohort, device, stage, state, attempt, at_ms, asked_ms, reason)
    select rollout, cohort, device, stage, state, attempt, at_ms, asked_ms, reason from update_turn order by rollout, cohort, device;
drop table update_turn;
alter table update_turn_by_cohort rename to update_turn;
create index update_turn_next on update_turn (rollout, stage, cohort, device) where state = 0;
create index update_turn_late on update_turn (rollout, at_ms, cohort, device) where state = 1;
-- For devices that go: no report changes what stands in it.
create index update_turn_device on update_turn (device, rollout, cohort);
create trigger update_turn_gone after delete on update_turn begin
    update update_stage set turns = turns - 1, ended = ended - (old.state in (2, 3)), away = away - (old.state = 4)
        where rollout = old.rollout and stage = old.stage;
end;

-- prev: the device's entry before this one; 0: there is none
create table update_story (
    seq     integer primary key,
    prev    integer not null,
    device  text not null,
    at_ms   integer not null,
    rollout integer not null,
    attempt integer not null,
    running text not null,
    target  text not null,
    state   text not null,
    reason  text not null
) strict;
insert into update_story (seq, prev, device, at_ms, rollout, attempt, running, target, state, reason)
    select place, coalesce(lag(place) over (partition by device order by place), 0), device, at_ms, rollout, attempt, running, target,
        state, reason
    from (select row_number() over (order by late_ms, device, seq) as place, *
          from (select max(at_ms) over (partition by device order by seq) as late_ms, * from update_history))
    order by place;
drop table update_history;
alter table update_story rename to update_history;

-- story: the device's newest entry in update_history; entries: how many there are
alter table update_device add column entries integer not null default 0;
update update_device set story = 0;
update update_device set story = s.newest, entries = s.entries
    from (select device, max(seq) as newest, count(*) as entries from update_history group by device) s
    where s.device = update_device.device;
create trigger update_device_gone after delete on update_device begin
    delete from update_history where seq in (
        with recursive story (seq) as (
            select old.story
            union
            select h.prev from story s join update_history h on h.seq = s.seq where h.device = old.device)
        select seq from story) and device = old.device;
end;

alter table update_rollout add column recall_cohort integer not null default -1;
