"""GEPA against the conformance suite, in a world that instructions sway."""

from __future__ import annotations

from pytest_lmprog.teleprompt import GEPA, TeleprompterBase
from tests.teleprompt.conformance.suite import TeleprompterConformance
from tests.teleprompt.world import exact, swayed


class TestGEPA(TeleprompterConformance):
    ranks = True
    mood = staticmethod(swayed)

    def make(self) -> TeleprompterBase:
        return GEPA(metric=exact, max_metric_calls=90)


class TestGEPAWithTrialsInFlight(TeleprompterConformance):
    ranks = True
    mood = staticmethod(swayed)

    def make(self) -> TeleprompterBase:
        return GEPA(
            metric=exact,
            max_full_evals=9,
            reflection_minibatch_size=2,
            component_selector="all",
            track_stats=True,
            trials_in_flight=3,
        )
