-- What a person sees and does about the safety of the own account.

-- id: names the sign-in in the API; it opens nothing. agent: browser and system, in words of ours. installed: the
-- page was an app on the home screen. proved_ms, proved_by: when and with what the second factor was last shown.
ALTER TABLE session ADD COLUMN id TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN agent TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN installed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN proved_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN proved_by TEXT NOT NULL DEFAULT '' CHECK (proved_by IN ('', 'code', 'recovery'));
UPDATE session SET id = lower(hex(randomblob(16)));
CREATE UNIQUE INDEX session_by_id ON session (id);

-- Wrong sign-ins of accounts, so that a restart forgives none. name_key '' stands for all unknown names.
CREATE TABLE sign_in_throttle (
    name_key TEXT PRIMARY KEY NOT NULL,
    attempts INTEGER NOT NULL,
    next_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL
) STRICT;

-- What a person should know of: somebody signed in ('sign-in'), or had the password and not the second factor
-- ('half'), or changed the password. session: of a sign-in, the session's id. count: how often since at_ms.
CREATE TABLE alert (
    id TEXT PRIMARY KEY NOT NULL,
    account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('sign-in', 'half', 'password', 'recovery-codes')),
    at_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    count INTEGER NOT NULL DEFAULT 1,
    address TEXT NOT NULL,
    agent TEXT NOT NULL,
    session TEXT NOT NULL DEFAULT '',
    answer TEXT NOT NULL DEFAULT '' CHECK (answer IN ('', 'mine', 'not-mine'))
) STRICT;
CREATE INDEX alert_by_account ON alert (account, at_ms);

-- A push message about an alert: once for each browser.
ALTER TABLE push_delivery ADD COLUMN alert TEXT REFERENCES alert (id) ON DELETE CASCADE;
CREATE UNIQUE INDEX push_delivery_alert ON push_delivery (alert, subscription) WHERE alert IS NOT NULL;
