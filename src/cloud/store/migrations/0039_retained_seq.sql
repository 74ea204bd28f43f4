-- An event's retained message is found by the number of its message (media_delete.c): without this every deleted event
-- would walk through all retained messages.
create index mqtt_retained_seq on mqtt_retained (seq);
