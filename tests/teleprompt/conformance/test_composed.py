"""Strategies that are made of others against the conformance suite."""

from __future__ import annotations

from pytest_lmprog.teleprompt import (
    BetterTogether,
    BootstrapFewShot,
    BootstrapFewShotWithRandomSearch,
    Ensemble,
    KNNFewShot,
    LabeledFewShot,
    TeleprompterBase,
)
from tests.teleprompt.conformance.suite import TeleprompterConformance
from tests.teleprompt.world import exact


class TestBetterTogether(TeleprompterConformance):
    ranks = True

    def make(self) -> TeleprompterBase:
        search = BootstrapFewShotWithRandomSearch(max_labeled_demos=4, num_candidate_programs=0)
        return BetterTogether(
            exact, p=search, w=BootstrapFewShot(max_bootstrapped_demos=2), strategy="p -> w -> p"
        )


class TestBetterTogetherWithMetricsOfTheirOwn(TeleprompterConformance):
    ranks = True

    def make(self) -> TeleprompterBase:
        search = BootstrapFewShotWithRandomSearch(
            lambda e, p, trace=None: len(p.answer) < 4, max_labeled_demos=4, num_candidate_programs=0
        )
        return BetterTogether(exact, labels=LabeledFewShot(2), p=search, strategy="labels -> p")


class TestEnsemble(TeleprompterConformance):
    ranks = True

    def make(self) -> TeleprompterBase:
        search = BootstrapFewShotWithRandomSearch(metric=exact, max_labeled_demos=4, num_candidate_programs=0)
        return Ensemble(of=search, size=3)


class TestKNNFewShot(TeleprompterConformance):
    def make(self) -> TeleprompterBase:
        return KNNFewShot(3, metric=exact)


class TestKNNFewShotOfLabeledRows(TeleprompterConformance):
    asks = False

    def make(self) -> TeleprompterBase:
        return KNNFewShot(3, metric=exact, max_bootstrapped_demos=0)


class TestSequenceOfKNNFewShot(TeleprompterConformance):
    ranks = True

    def make(self) -> TeleprompterBase:
        return BetterTogether(exact, knn=KNNFewShot(2), strategy="knn")
