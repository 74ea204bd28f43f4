-- session: the sign-in that subscribed this browser. muted: that sign-in was ended, so the browser hears of nothing at
-- home until somebody signs in there again; alerts about the account it still gets.
ALTER TABLE push_subscription ADD COLUMN session TEXT NOT NULL DEFAULT '';
ALTER TABLE push_subscription ADD COLUMN muted INTEGER NOT NULL DEFAULT 0;
