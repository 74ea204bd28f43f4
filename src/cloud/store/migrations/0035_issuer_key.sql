-- key_gone_ms: since then no file of the signer holds a retired issuer's key.
alter table issuer add column key_gone_ms integer;
