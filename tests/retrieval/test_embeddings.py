"""Embeddings: local corpora by vectors."""

from __future__ import annotations

import json
import math

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import LmprogWarning
from tests.retrieval.vectors import PASSAGES, letters


class Counting:
    """An encoder that notes what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, texts):
        self.asked += texts
        return letters(texts)


def test_the_closest_passages_by_cosine():
    found = lmp.Embeddings(PASSAGES, letters)("bbbbbbbb c", k=2)
    assert found.passages == ["bbbb cc", "aaaa bb"]
    cosine = (8 * 4 + 1 * 2) / (math.hypot(8, 1) * math.hypot(4, 2))
    assert found.scores[0] == pytest.approx(cosine, rel=1e-5)
    assert found.ids == ["1", "0"]


def test_dot_products_where_not_normalized():
    found = lmp.Embeddings(["a", "aaa", "b"], letters, normalize=False)("aa", k=2)
    assert (found.passages, found.scores) == (["aaa", "a"], [6.0, 2.0])


def test_as_dspy_calls_it_and_as_a_retriever():
    search = lmp.Embeddings(corpus=PASSAGES, embedder=lmp.Embedder(letters), k=1)
    assert search("zz").passages == ["zzzz"]
    assert lmp.Retrieve(k=2, rm=search)("zz").passages[0] == "zzzz"


def test_equal_scores_are_in_the_corpus_order_and_k_may_be_too_large():
    assert lmp.Embeddings(["b", "c", "a", "aa"], letters)("a", k=9).passages == ["a", "aa", "b", "c"]


def write(path, texts):
    path.write_text("".join(json.dumps(text) + "\n" for text in texts))
    return path


def test_constructing_embeds_and_reads_nothing(tmp_path):
    encoder = Counting()
    lmp.Embeddings(tmp_path / "none.jsonl", encoder, index=tmp_path / "index")
    assert not encoder.asked
    assert not list(tmp_path.iterdir())


def test_a_saved_index_is_not_embedded_again_and_only_what_is_new_is(tmp_path):
    path, encoder = write(tmp_path / "c.jsonl", PASSAGES), Counting()
    first = lmp.Embeddings(path, encoder, index=tmp_path / "index")("bb", k=5)
    assert encoder.asked == [*PASSAGES, "bb"]
    encoder.asked.clear()
    assert lmp.Embeddings(path, encoder, index=tmp_path / "index")("bb", k=5) == first
    assert encoder.asked == ["bb"]
    write(path, ["zb", *PASSAGES[1:]])
    encoder.asked.clear()
    assert lmp.Embeddings(path, encoder, index=tmp_path / "index")("zb", k=1).passages == ["zb"]
    assert encoder.asked == ["zb", "zb"]


def test_another_encoder_is_another_index(tmp_path):
    def doubled(texts):
        return [[2 * n for n in vector] for vector in letters(texts)]

    path = write(tmp_path / "c.jsonl", PASSAGES)
    lmp.Embeddings(path, letters, index=tmp_path / "index")("bb")
    found = lmp.Embeddings(path, doubled, index=tmp_path / "index", normalize=False)("a", k=1)
    assert found.scores == [16.0]


def test_a_damaged_index_is_a_warning_and_built_anew(tmp_path):
    path = write(tmp_path / "c.jsonl", PASSAGES)
    before = lmp.Embeddings(path, letters, index=tmp_path / "index")("bb")
    (tmp_path / "index" / "vectors.npy").write_bytes(b"\x93NUMPY")
    with pytest.warns(LmprogWarning, match="the saved index is damaged"):
        assert lmp.Embeddings(path, letters, index=tmp_path / "index")("bb") == before
