-- When a device was asked, whatever it has said since; and who of a stage has an end, at a glance.
alter table update_turn add column asked_ms integer not null default 0;
create index update_turn_stage on update_turn (rollout, stage, state);
create index update_rollout_product on update_rollout (product, number);
