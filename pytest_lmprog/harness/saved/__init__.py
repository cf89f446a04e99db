"""Runs as data: how one is collected case by case, what is saved of it, the store of saved runs, and the way
back, so that new metrics, thresholds and baselines can be applied to a saved run without one call."""
