-- What a household's end needs: a trust log whose rows can be emptied without breaking the chain, and the names that are being erased.

-- salt: hashed with the row, so that nobody who guesses a row that was emptied can make sure of it; empty in rows of before this version.
alter table trust add column salt blob not null default x'';

-- Names of the household under erasure, until the last step is done; a crash in between begins again from here.
create table erasure (
    household text not null,
    kind      text not null check (kind in ('device', 'user', 'account')),
    name      text not null,
    primary key (household, kind, name)
) strict, without rowid;

alter table deleted add column household text not null default '';
create index deleted_household on deleted (household);
