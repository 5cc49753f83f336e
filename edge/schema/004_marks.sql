-- What a commit writes is what its behavior is: the message it came from stands in its row, and no counter is kept of
-- rows (AUTOINCREMENT): the oldest leave the record, never the newest.
CREATE TABLE marked (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    pair INTEGER NOT NULL REFERENCES pairs (id),
    mark BLOB
);
INSERT INTO marked (id, time, pair) SELECT id, time, pair FROM behaviors;
DROP TABLE behaviors;
ALTER TABLE marked RENAME TO behaviors;
