-- The authorities that issued certificates, one after the other, and which of them a certificate hangs on.

-- fingerprint: SHA-256 of the certificate. followed_ms: another one issues since then; retired_ms: what it issued is refused since then.
create table issuer (
    fingerprint  blob primary key check (length(fingerprint) = 32),
    pem          text not null,
    in_force_ms  integer not null,
    followed_ms  integer,
    retired_ms   integer
) strict, without rowid;

-- null: from before, when there was but one; the hub fills it in at its next start.
alter table certificate add column issuer blob check (length(issuer) = 32);
