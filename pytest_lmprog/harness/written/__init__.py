"""What a run writes beside the tests: the snapshot of each unit, pending or accepted, with where its code and
data lie, and without secrets."""
