-- A device under quarantine keeps its link for diagnostics and the signed update only; null: it is not.
alter table device add column quarantined_ms integer;
