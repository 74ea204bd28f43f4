-- Devices for whose hardware the release is not signed: their turn is over (state 5), and it is neither good nor failed.
alter table update_rollout add column unfit integer not null default 0;
drop trigger update_turn_gone;
create trigger update_turn_gone after delete on update_turn
    when (select swept from update_rollout where number = old.rollout) = 0 begin
    update update_stage set turns = turns - 1, ended = ended - (old.state in (2, 3, 5)), away = away - (old.state = 4)
        where rollout = old.rollout and stage = old.stage;
end;
