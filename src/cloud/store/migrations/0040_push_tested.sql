-- When the account last asked for a test message: its rows go with the browsers that it was sent to, the wait does not.
alter table push_pace add column tested_ms integer not null default 0;
