-- People, what their cookies prove, and the links with which they set themselves up.

-- name_key: the name in lower-case ASCII, so that two names differing in case only are one.
-- totp: sealed by the signer under totp_id, which is new with each enrolment of a second factor. awaiting_reset: locked until a reset link was used.
CREATE TABLE account (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    household TEXT NOT NULL,
    password TEXT NOT NULL,
    totp_id TEXT NOT NULL,
    totp BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    last_login_ms INTEGER NOT NULL DEFAULT 0,
    awaiting_reset INTEGER NOT NULL DEFAULT 0
) STRICT;

-- hash: SHA-256 of the cookie's token.
CREATE TABLE session (
    hash BLOB PRIMARY KEY NOT NULL,
    account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    created_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL,
    address TEXT NOT NULL
) STRICT;
CREATE INDEX session_by_account ON session (account, seen_ms);

-- hash: SHA-256 of the link's token. account: the id that the account has or will have. The last four
-- columns hold what the person chose until the first code confirms it.
CREATE TABLE setup_link (
    hash BLOB PRIMARY KEY NOT NULL,
    purpose TEXT NOT NULL CHECK (purpose IN ('owner', 'reset')),
    account TEXT NOT NULL,
    totp_id TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    spent_ms INTEGER NOT NULL DEFAULT 0,
    name TEXT,
    password TEXT,
    totp BLOB,
    timezone TEXT
) STRICT;
