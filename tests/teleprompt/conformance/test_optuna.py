"""The strategies that search by TPE against the conformance suite."""

from __future__ import annotations

import pytest

from pytest_lmprog.teleprompt import BootstrapFewShotWithOptuna, MIPROv2, TeleprompterBase
from tests.teleprompt.conformance.suite import TeleprompterConformance
from tests.teleprompt.world import exact

pytest.importorskip("optuna")


class TestMIPROv2(TeleprompterConformance):
    ranks = True

    def make(self) -> TeleprompterBase:
        return MIPROv2(
            exact,
            auto=None,
            num_candidates=4,
            num_trials=12,
            minibatch_size=4,
            minibatch_full_eval_steps=3,
            view_data_batch_size=5,
        )


class TestMIPROv2WithTrialsInFlight(TeleprompterConformance):
    ranks = True

    def make(self) -> TeleprompterBase:
        return MIPROv2(exact, auto="light", trials_in_flight=4)


class TestBootstrapFewShotWithOptuna(TeleprompterConformance):
    ranks = True

    def make(self) -> TeleprompterBase:
        return BootstrapFewShotWithOptuna(
            exact, max_bootstrapped_demos=3, max_labeled_demos=5, num_candidate_programs=12
        )
