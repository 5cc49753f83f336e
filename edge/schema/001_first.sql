CREATE TABLE devices (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL
) WITHOUT ROWID;

-- A pair is written once and named by its number: a behavior is then about 16 bytes.
CREATE TABLE pairs (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL REFERENCES devices (id),
    control TEXT NOT NULL,
    UNIQUE (device, control)
);

CREATE TABLE behaviors (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    pair INTEGER NOT NULL REFERENCES pairs (id)
);

CREATE TABLE states (
    device TEXT NOT NULL,
    property TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (device, property)
) WITHOUT ROWID;

-- A ring of the newest messages, to recognize what the broker sends twice.
CREATE TABLE seen (
    slot INTEGER PRIMARY KEY,
    n INTEGER NOT NULL,
    mid INTEGER NOT NULL,
    digest BLOB NOT NULL
);

CREATE TABLE counters (
    reason TEXT PRIMARY KEY,
    n INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE alerts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    behavior INTEGER REFERENCES behaviors (id) ON DELETE SET NULL,
    score REAL NOT NULL,
    threshold REAL NOT NULL,
    sentence TEXT NOT NULL,
    state TEXT NOT NULL
);
CREATE INDEX alerts_time ON alerts (time);
CREATE INDEX alerts_behavior ON alerts (behavior);

CREATE TABLE facts (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE adaptations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    scene TEXT NOT NULL,
    report TEXT NOT NULL
);
