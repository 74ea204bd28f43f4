-- People other than the owner: invited with a role, guests until a day.

-- expires_ms: from then on the account cannot be used; 0: it stays.
ALTER TABLE account ADD COLUMN expires_ms INTEGER NOT NULL DEFAULT 0;

-- The table anew, since an invitation is one purpose more. role, household, stay_ms: of the account that an
-- invitation makes, and how long that lasts from the day it is made (0: it stays).
CREATE TABLE setup_link_new (
    hash BLOB PRIMARY KEY NOT NULL,
    purpose TEXT NOT NULL CHECK (purpose IN ('owner', 'reset', 'invite')),
    account TEXT NOT NULL,
    totp_id TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    spent_ms INTEGER NOT NULL DEFAULT 0,
    name TEXT,
    password TEXT,
    totp BLOB,
    timezone TEXT,
    role TEXT NOT NULL DEFAULT 'owner' CHECK (role IN ('owner', 'adult', 'child', 'guest')),
    household TEXT NOT NULL DEFAULT 'home',
    stay_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO setup_link_new (hash, purpose, account, totp_id, expires_ms, spent_ms, name, password, totp, timezone)
    SELECT hash, purpose, account, totp_id, expires_ms, spent_ms, name, password, totp, timezone FROM setup_link;
DROP TABLE setup_link;
ALTER TABLE setup_link_new RENAME TO setup_link;
