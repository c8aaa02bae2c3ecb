-- The last transaction of each of a manager's writers, so that a COMMIT whose
-- answer got lost can be found out about. Only a server needs it.
CREATE TABLE commits (
	writer TEXT    NOT NULL PRIMARY KEY,
	number INTEGER NOT NULL,
	at     INTEGER NOT NULL
) WITHOUT ROWID;
