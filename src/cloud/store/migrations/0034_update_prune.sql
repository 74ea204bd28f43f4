-- When the images of a withdrawn release were removed by themselves.
alter table update_release add column pruned_ms integer not null default 0;
