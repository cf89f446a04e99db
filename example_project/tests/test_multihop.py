"""Multi-hop question answering, compiled with a teacher and the metric of DSPy's README: the right answer,
taken from the passages, which were found by queries that differ."""

import pytest
from multihop.program import MultiHop

from pytest_lmprog import Example
from pytest_lmprog.teleprompt import BootstrapFewShot

WORKED = [  # question, first query, what it finds, second query, what it finds, answer
    (
        "Where was the painter of The Empty Chair born?",
        *("The Empty Chair", "The Empty Chair is a painting by Pia Holt."),
        *("Pia Holt", "Pia Holt was born in Lisk."),
        "Lisk",
    ),
    (
        "What does the composer of Summer Snow play?",
        *("Summer Snow", "Summer Snow is a song by Max Oren."),
        *("Max Oren", "Max Oren plays the lute."),
        "lute",
    ),
    (
        "Where does the builder of the Glass House live?",
        *("The Glass House", "The Glass House was built by Eva Tarn."),
        *("Eva Tarn", "Eva Tarn lives in Corby."),
        "Corby",
    ),
]


def teacher():
    """The program with demos written by hand: it shows the student what each hop is for."""
    program = MultiHop()
    first, second = program.generate_query
    first.demos = [Example(context=[], question=row[0], query=row[1]) for row in WORKED]
    second.demos = [Example(context=[row[2]], question=row[0], query=row[3]) for row in WORKED]
    program.generate_answer.demos = [
        Example(context=[row[2], row[4]], question=row[0], answer=row[5]) for row in WORKED
    ]
    return program


def words(text):
    return text.lower().strip(" .").removeprefix("the ")


def validate_context_and_answer_and_hops(example, pred, trace=None):
    if words(pred.answer) != words(example.answer):
        return False
    if not any(words(pred.answer) in passage.lower() for passage in pred.context):
        return False
    queries = [words(call.outputs["query"]) for call in trace or () if "query" in call.outputs]
    return len(set(queries)) == len(queries)


@pytest.mark.lm_program(
    program=MultiHop,
    teleprompter=BootstrapFewShot(
        metric=validate_context_and_answer_and_hops, max_bootstrapped_demos=3, max_labeled_demos=0
    ),
    teacher=teacher,
    trainset="hops.yaml",
    train_split="train",
)
@pytest.mark.lm_examples("hops.yaml", split="dev")
class TestMultiHop:
    def test_answer(self, example, prediction):
        assert words(prediction.answer) == words(example.answer)

    def test_both_passages_were_found(self, example, prediction):
        found = " ".join(prediction.context)
        assert example.maker in found
        assert example.answer in found
