-- Recovery codes: what signs a person in once in place of the second factor's code.

-- hash: SHA-256 of the account's id and the code's 80 bits. spent_ms: 0 until it was used.
CREATE TABLE recovery_code (
    hash BLOB PRIMARY KEY NOT NULL,
    account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    made_ms INTEGER NOT NULL,
    spent_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX recovery_code_by_account ON recovery_code (account);
