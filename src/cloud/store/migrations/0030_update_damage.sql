-- The signed file of each role as it was in force: a folder that was damaged is put right with these, not with others.
alter table update_role add column sha256 text not null default '';
