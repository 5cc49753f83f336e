-- Why a behavior was unusual, as JSON (edge/core/explanations.py); '' for alerts from before it was kept.
ALTER TABLE alerts ADD COLUMN explanation TEXT NOT NULL DEFAULT '';
