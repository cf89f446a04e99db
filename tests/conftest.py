"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["pytester"]

# What tests run is no run of GitHub's, wherever the tests themselves run.
for _name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
    os.environ.pop(_name, None)

# A loaded machine must not fail a property; the same examples on every run, so that a failure is everybody's.
settings.register_profile(
    "lmprog", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("lmprog")
