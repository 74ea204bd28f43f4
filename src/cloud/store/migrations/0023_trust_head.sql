-- Heads of the trust log, signed by the signer after it hashed the rows itself (signer_trust.c).
create table trust_head (
    seq       integer primary key,
    at_ms     integer not null,
    hash      blob not null check (length(hash) = 32),
    key       blob not null check (length(key) = 32),
    signature blob not null check (length(signature) = 64)
) strict;
