"""BM25 over local corpora."""

from __future__ import annotations

import json
import math

import pytest

from pytest_lmprog.errors import ConfigurationError, DataError, LmprogWarning, UsageError
from pytest_lmprog.retrieval.bm25 import BM25, words

PASSAGES = ["The cat sat on the mat.", "A dog ran to the sea.", "The fish swam in the sea.", "Sea dog."]


def test_a_passage_that_shares_rare_words_comes_first():
    assert BM25(PASSAGES)("a fish in the sea", k=2).passages == [PASSAGES[2], PASSAGES[3]]


def test_scores_are_those_of_the_formula():
    found = BM25(PASSAGES, k1=1.2, b=0.5)("dog", k=1)[0]
    docs = [words(text) for text in PASSAGES]
    n, average = len(docs), sum(map(len, docs)) / len(docs)
    containing = sum("dog" in doc for doc in docs)
    idf = math.log(1 + (n - containing + 0.5) / (containing + 0.5))
    expected = idf / (1 + 1.2 * (1 - 0.5 + 0.5 * 2 / average))
    assert found.text == "Sea dog."
    assert found.score == pytest.approx(expected, rel=1e-4)


def test_equal_scores_are_in_the_corpus_order():
    found = BM25(["two same", "one same", "six same"])("same", k=3)
    assert found.passages == ["two same", "one same", "six same"]
    assert found.ids == ["0", "1", "2"]


def test_a_query_without_a_known_word_finds_the_first_passages_with_score_0():
    found = BM25(PASSAGES)("zzz", k=2)
    assert found.passages == PASSAGES[:2]
    assert found.scores == [0.0, 0.0]


def test_k_beyond_the_corpus_returns_all():
    assert len(BM25(PASSAGES)("sea", k=100)) == 4


@pytest.mark.parametrize("k", [0, -1, True, 2.0, "3"])
def test_a_k_that_is_none_is_refused(k):
    with pytest.raises(UsageError, match=r"k must be a whole number of 1 or more, not"):
        BM25(PASSAGES)("sea", k=k)


def test_a_query_that_is_no_text_is_refused():
    with pytest.raises(UsageError, match=r"a query is text, not int \(5\)"):
        BM25(PASSAGES)(5)


def test_parameters_out_of_range_are_refused():
    with pytest.raises(ConfigurationError, match="b within 0 and 1"):
        BM25(PASSAGES, b=2)


def test_a_corpus_of_stop_words_can_be_searched():
    assert BM25(["the", "of the"])("of", k=1).passages == ["of the"]
    assert BM25(["...", "---"])("of", k=1).passages == ["..."]


def test_a_tokenizer_of_ones_own():
    found = BM25(["ab", "bc"], tokenize=list)("c", k=1)
    assert found.passages == ["bc"]


def test_constructing_reads_nothing(tmp_path):
    retriever = BM25(tmp_path / "missing.jsonl", index=tmp_path / "index")
    assert not (tmp_path / "index").exists()
    with pytest.raises(DataError, match="there is no such file"):
        retriever("sea")


def corpus(path, texts=PASSAGES):
    path.write_text("".join(json.dumps({"id": f"p{i}", "text": t}) + "\n" for i, t in enumerate(texts)))
    return path


def test_a_saved_index_gives_the_same_passages(tmp_path):
    path = corpus(tmp_path / "sea.jsonl")
    first = BM25(path, index=tmp_path / "index")("dog sea", k=4)
    built = []
    second = BM25(path, index=tmp_path / "index", tokenize=None)
    second._built = lambda: built.append(1)  # type: ignore[method-assign]
    assert second("dog sea", k=4) == first
    assert not built


def test_a_saved_index_of_another_corpus_is_built_anew(tmp_path):
    path = corpus(tmp_path / "sea.jsonl")
    BM25(path, index=tmp_path / "index")("dog")
    corpus(path, ["A whale sang.", *PASSAGES])
    assert BM25(path, index=tmp_path / "index")("whale", k=1).passages == ["A whale sang."]


@pytest.mark.parametrize(
    "damage", [("index.json", b"{"), ("index.json", b"[]"), ("data.npy", b"x"), ("data.npy", b"")]
)
def test_a_damaged_index_is_a_warning_and_built_anew(tmp_path, damage):
    path = corpus(tmp_path / "sea.jsonl")
    before = BM25(path, index=tmp_path / "index")("dog")
    (tmp_path / "index" / damage[0]).write_bytes(damage[1])
    with pytest.warns(LmprogWarning, match="the saved index is damaged and is built anew"):
        assert BM25(path, index=tmp_path / "index")("dog") == before
    assert BM25(path, index=tmp_path / "index")("dog") == before


def test_an_index_that_is_a_pickle_is_refused(tmp_path):
    import numpy

    path = corpus(tmp_path / "sea.jsonl")
    BM25(path, index=tmp_path / "index")("dog")
    numpy.save(tmp_path / "index" / "data.npy", numpy.array([print], dtype=object), allow_pickle=True)
    with pytest.warns(LmprogWarning, match="damaged"):
        BM25(path, index=tmp_path / "index")("dog")


def test_the_fingerprint_is_the_files_digest_and_the_identity_its_place_in_the_project(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "data").mkdir()
    path = corpus(tmp_path / "data" / "sea.jsonl")
    retriever = BM25(path)
    assert retriever.identity() == {"corpus": "data/sea.jsonl"}
    before = retriever.fingerprint()
    corpus(path, ["another"])
    assert BM25(path).fingerprint() != before
    assert BM25(path).identity() == retriever.identity()
