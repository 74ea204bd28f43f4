-- What devices saw, the clips of it, and who was found. Boxes are four parts of the frame, 0 to 1.

CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,
    device TEXT NOT NULL,
    product TEXT NOT NULL,
    household TEXT NOT NULL,
    device_event TEXT NOT NULL,
    kind TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    score REAL NOT NULL,
    x REAL NOT NULL, y REAL NOT NULL, w REAL NOT NULL, h REAL NOT NULL,
    thumbnail BLOB
) STRICT;
CREATE INDEX event_by_household ON event (household, seq);
CREATE INDEX event_by_device ON event (device, seq);

-- state: 0 recording, 1 complete. analysis: 0 waiting, 1 done, 2 failed.
CREATE TABLE clip (
    id TEXT PRIMARY KEY NOT NULL,
    event TEXT NOT NULL UNIQUE,
    device TEXT NOT NULL,
    product TEXT NOT NULL,
    household TEXT NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    sha256 BLOB,
    created_ms INTEGER NOT NULL,
    first_byte_ms INTEGER NOT NULL DEFAULT 0,
    complete_ms INTEGER NOT NULL DEFAULT 0,
    analysis INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    analysis_why TEXT,
    first_frame_ms INTEGER NOT NULL DEFAULT 0,
    indexed_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX clip_by_household ON clip (household, created_ms);
CREATE INDEX clip_recording ON clip (device) WHERE state = 0;
CREATE INDEX clip_waiting ON clip (complete_ms) WHERE state = 1 AND analysis = 0;

CREATE TABLE person (
    event TEXT PRIMARY KEY NOT NULL,
    clip TEXT NOT NULL,
    score REAL NOT NULL,
    x REAL NOT NULL, y REAL NOT NULL, w REAL NOT NULL, h REAL NOT NULL,
    agreeing INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    found_ms INTEGER NOT NULL,
    picture BLOB
) STRICT;
