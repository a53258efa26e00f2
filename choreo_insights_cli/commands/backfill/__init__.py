"""`insights backfill`: exports a history by the stack's state machine, part by part."""
