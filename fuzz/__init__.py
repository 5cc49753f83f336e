"""Coverage-guided fuzzing of every parser of bytes from outside: `python -m fuzz TARGET`, `python -m fuzz all`."""
