"""From files on disk to batches: source, table, splits, cache, data module."""
