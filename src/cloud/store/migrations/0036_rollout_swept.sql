-- Turns of rollouts that are long over are swept away, some at a time: 0 they are kept, 1 it has begun, 2 none is left. What was
-- counted of them stays: only a device that goes takes its turn out of the sums.
alter table update_rollout add column swept integer not null default 0;
create index update_rollout_unswept on update_rollout (number) where swept < 2;
drop trigger update_turn_gone;
create trigger update_turn_gone after delete on update_turn
    when (select swept from update_rollout where number = old.rollout) = 0 begin
    update update_stage set turns = turns - 1, ended = ended - (old.state in (2, 3)), away = away - (old.state = 4)
        where rollout = old.rollout and stage = old.stage;
end;
