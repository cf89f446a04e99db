"""ChromadbRM over real embedded stores."""

from __future__ import annotations

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import ConfigurationError, LMRequestError
from pytest_lmprog.retrieval.chroma import ChromadbRM
from tests.retrieval.vectors import PASSAGES, letters

chromadb = pytest.importorskip("chromadb")


def filled(client, name="letters", space="cosine"):
    collection = client.get_or_create_collection(
        name, embedding_function=None, configuration={"hnsw": {"space": space}}
    )
    ids = [f"p{i}" for i in range(len(PASSAGES))]
    collection.upsert(ids=ids, embeddings=letters(PASSAGES), documents=PASSAGES)
    return client


@pytest.fixture(scope="module")
def client():
    return filled(filled(chromadb.EphemeralClient()), "far", "l2")


def test_a_store_in_memory(client):
    rm = ChromadbRM("letters", client=client, embedding_function=letters)
    found = rm("bbbbb c", k=2)
    assert found.passages == ["bbbb cc", "aaaa bb"]
    assert found.ids == ["p1", "p0"]
    assert 1 >= found.scores[0] > found.scores[1] > 0
    assert len(rm("c", k=50)) == 5


def test_distances_become_scores_that_are_higher_for_closer_passages(client):
    found = ChromadbRM("far", client=client, embedding_function=letters)("zzzz", k=2)
    assert found[0].text == "zzzz"
    assert found[0].score == 1
    assert 0 < found[1].score < 1


def test_a_store_in_a_folder(tmp_path):
    filled(chromadb.PersistentClient(str(tmp_path / "store")))
    rm = ChromadbRM("letters", tmp_path / "store", letters)
    assert lmp.Retrieve(k=1, rm=rm)("zz").passages == ["zzzz"]


def test_an_unknown_collection_is_told_with_those_there_are(client):
    with pytest.raises(ConfigurationError, match="Chroma has no collection 'leters'; it has: far, letters"):
        ChromadbRM("leters", client=client, embedding_function=letters)("z")


def test_vectors_of_another_size_are_refused(client):
    rm = ChromadbRM("letters", client=client, embedding_function=lambda texts: [[1.0]], num_retries=0)
    with pytest.raises(LMRequestError, match=r"Chroma \(collection 'letters'\)"):
        rm("z")


def test_constructing_opens_nothing(tmp_path):
    rm = ChromadbRM("letters", tmp_path / "none", letters)
    with pytest.raises(ConfigurationError, match="there is no Chroma database in the folder"):
        rm("z")
    assert not (tmp_path / "none").exists()


def test_it_needs_a_folder_or_a_client():
    with pytest.raises(ConfigurationError, match="a persist_directory or a client"):
        ChromadbRM("letters")
