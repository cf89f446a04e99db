"""Whether it got worse: each case beside its baseline (the ratchet), each metric beside its baseline and its
gate, several rollouts together, and where a baseline comes from."""
