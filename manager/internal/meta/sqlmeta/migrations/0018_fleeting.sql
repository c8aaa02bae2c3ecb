-- Whether an upload ends with its manager: nobody could go on with it, and what it
-- reserves would be missing for a day.
ALTER TABLE uploads ADD COLUMN fleeting BOOLEAN NOT NULL DEFAULT 0;
