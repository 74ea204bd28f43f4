-- Makers of TPMs that are believed, and which certificates' keys were shown to live in a TPM of theirs.

create table tpm_ca (
    name     text primary key,
    pem      text not null,
    added_ms integer not null
) strict, without rowid;

-- hardware: its key was shown to live in a TPM; a renewal for the same key inherits it.
alter table certificate add column hardware integer not null default 0;
