-- Previews of objects, and the queue of those to be made. No key refers to the
-- objects: what a preview left in Discord is deleted after its object has gone.
-- images is a JSON array of what lies where in the chunk, facts a JSON record.
CREATE TABLE thumbnails (
	object_id     BLOB    NOT NULL PRIMARY KEY,
	state         TEXT    NOT NULL,
	priority      INTEGER NOT NULL DEFAULT 0,
	attempts      INTEGER NOT NULL DEFAULT 0,
	due_at        INTEGER NOT NULL,
	decoder       INTEGER NOT NULL DEFAULT 0,
	reason        TEXT    NOT NULL DEFAULT '',
	facts         TEXT    NOT NULL DEFAULT '',
	images        TEXT    NOT NULL DEFAULT '',
	pack_id       BLOB,
	size          INTEGER NOT NULL DEFAULT 0,
	sealed_size   INTEGER NOT NULL DEFAULT 0,
	salt          BLOB,
	header        BLOB,
	channel_id    TEXT    NOT NULL DEFAULT '',
	message_id    TEXT    NOT NULL DEFAULT '',
	attachment_id TEXT    NOT NULL DEFAULT '',
	path          TEXT    NOT NULL DEFAULT '',
	CONSTRAINT thumbnails_state CHECK (state IN ('queued', 'ready', 'failed')),
	CONSTRAINT thumbnails_ready CHECK (state <> 'ready' OR pack_id IS NOT NULL)
) WITHOUT ROWID;
CREATE INDEX thumbnails_by_due ON thumbnails (state, priority, due_at);
