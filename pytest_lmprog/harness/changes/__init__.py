"""Which cases run what has changed since the snapshot (``--lm-changed``)."""
