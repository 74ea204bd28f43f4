-- When the account last asked for a test message: its rows go with the browsers that it was sent to, the wait does not.
alter table push_pace add column tested_ms integer not null default 0;

-- Webhooks take turns at the one thread that serves them, as people do (push_pace): served_ms, failures and resting_until_ms are those there.
alter table webhook add column served_ms integer not null default 0;
alter table webhook add column failures integer not null default 0;
alter table webhook add column resting_until_ms integer not null default 0;
drop index notification_delivery_next;
create index notification_delivery_turn on notification_delivery (webhook, next_at_ms) where state = 'waiting';
