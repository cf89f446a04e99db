"""All strategies of this package against the conformance suite."""

from __future__ import annotations

from pytest_lmprog.teleprompt import (
    COPRO,
    SIMBA,
    BootstrapFewShot,
    BootstrapFewShotWithRandomSearch,
    BootstrapFinetune,
    InferRules,
    LabeledFewShot,
    TeleprompterBase,
)
from tests.teleprompt.conformance.suite import TeleprompterConformance
from tests.teleprompt.finetuning import FakeProvider
from tests.teleprompt.world import exact, swayed


class TestLabeledFewShot(TeleprompterConformance):
    asks = False

    def make(self) -> TeleprompterBase:
        return LabeledFewShot(k=3)


class TestBootstrapFewShot(TeleprompterConformance):
    def make(self) -> TeleprompterBase:
        return BootstrapFewShot(metric=exact, max_bootstrapped_demos=3, max_labeled_demos=5)


class TestBootstrapFewShotWithRounds(TeleprompterConformance):
    def make(self) -> TeleprompterBase:
        return BootstrapFewShot(metric=exact, max_bootstrapped_demos=5, max_labeled_demos=2, max_rounds=3)


class TestRandomSearch(TeleprompterConformance):
    ranks = True

    def make(self) -> TeleprompterBase:
        return BootstrapFewShotWithRandomSearch(metric=exact, max_labeled_demos=4, num_candidate_programs=3)


class TestRandomSearchThatStops(TeleprompterConformance):
    ranks = True

    def make(self) -> TeleprompterBase:
        return BootstrapFewShotWithRandomSearch(
            metric=exact, max_labeled_demos=4, num_candidate_programs=3, max_rounds=2, stop_at_score=0.6
        )


class TestCOPRO(TeleprompterConformance):
    ranks = True
    mood = staticmethod(swayed)

    def make(self) -> TeleprompterBase:
        return COPRO(metric=exact, breadth=3, depth=2)


class TestSIMBA(TeleprompterConformance):
    ranks = True

    def make(self) -> TeleprompterBase:
        return SIMBA(metric=exact, bsize=5, num_candidates=3, max_steps=3, max_demos=2)


class TestSIMBAWithRulesOnly(TeleprompterConformance):
    ranks = True

    def make(self) -> TeleprompterBase:
        return SIMBA(metric=exact, num_candidates=2, max_steps=2, max_demos=0, use_feedback=False)


class TestInferRules(TeleprompterConformance):
    ranks = True
    mood = staticmethod(swayed)

    def make(self) -> TeleprompterBase:
        return InferRules(metric=exact, num_candidates=3, max_bootstrapped_demos=2, max_labeled_demos=3)


class TestBootstrapFinetune(TeleprompterConformance):
    def make(self) -> TeleprompterBase:
        return BootstrapFinetune(metric=exact, provider=FakeProvider())


class TestBootstrapFinetuneOnePredictorAtATime(TeleprompterConformance):
    def make(self) -> TeleprompterBase:
        return BootstrapFinetune(
            metric=exact, multitask=False, exclude_demos=True, metric_threshold=0.5, provider=FakeProvider()
        )
