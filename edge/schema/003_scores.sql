-- How unusual each judged behavior was; those of the newest weeks only (edge/scores.py).
CREATE TABLE scores (
    behavior INTEGER PRIMARY KEY REFERENCES behaviors (id) ON DELETE CASCADE,
    score REAL NOT NULL
);
