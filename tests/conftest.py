"""What all tests share."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = ["pytester"]

# A loaded machine must not fail a property; the same examples on every run, so that a failure is everybody's.
settings.register_profile(
    "lmprog", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("lmprog")
