"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

pytest_plugins = ["pytester"]

# What tests run is no run of a CI or of GitHub's, wherever the tests themselves run.
for _name in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
    os.environ.pop(_name, None)

# A loaded machine must not fail a property; the same examples on every run, so that a failure is everybody's.
settings.register_profile(
    "lmprog", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explicit", settings.get_profile("lmprog"), phases=[Phase.explicit])
# Where the same code has been through it: only the examples that the tests spell out.
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "lmprog"))
