-- Wrong sign-ins of all names, known or not, by the hash of the name, so that a restart tells them not apart.
DROP TABLE sign_in_throttle;
CREATE TABLE sign_in_throttle (
    hash BLOB PRIMARY KEY NOT NULL,
    known INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL
) STRICT;
