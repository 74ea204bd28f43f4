-- The timeline by time: of a household, of one camera, of persons alone, and of both, each in its own order.

-- person: 1 when it is told as a person: somebody was found in it, not held back, and nobody said that it was none. Triggers keep
-- it so, whoever writes the tables that it follows from.
ALTER TABLE event ADD COLUMN person INTEGER NOT NULL DEFAULT 0;
UPDATE event SET person = 1
    WHERE uid IN (SELECT event FROM person WHERE held_back = 0) AND uid NOT IN (SELECT event FROM feedback);

CREATE TRIGGER person_found AFTER INSERT ON person BEGIN
    UPDATE event SET person = (new.held_back = 0) WHERE uid = new.event;
END;
CREATE TRIGGER person_released AFTER UPDATE OF held_back ON person BEGIN
    UPDATE event SET person = (new.held_back = 0 AND NOT EXISTS (SELECT 1 FROM feedback WHERE event = new.event)) WHERE uid = new.event;
END;
CREATE TRIGGER feedback_given AFTER INSERT ON feedback BEGIN
    UPDATE event SET person = 0 WHERE uid = new.event;
END;
CREATE TRIGGER feedback_taken_back AFTER DELETE ON feedback BEGIN
    UPDATE event SET person = EXISTS (SELECT 1 FROM person WHERE event = old.event AND held_back = 0) WHERE uid = old.event;
END;

DROP INDEX event_by_device;
CREATE INDEX event_time ON event (household, at_ms);
CREATE INDEX event_time_device ON event (household, device, at_ms);
CREATE INDEX event_time_person ON event (household, at_ms) WHERE person = 1;
CREATE INDEX event_time_device_person ON event (household, device, at_ms) WHERE person = 1;
