"""QdrantRM over real embedded stores and a server that is not there."""

from __future__ import annotations

import pytest

import pytest_lmprog as lmp
from pytest_lmprog.errors import ConfigurationError, LMConnectionError, LMResponseError
from pytest_lmprog.retrieval.qdrant import QdrantRM
from tests.retrieval.vectors import PASSAGES, letters

qdrant_client = pytest.importorskip("qdrant_client")
models = qdrant_client.models


def filled(client, *, named=False, field="document"):
    params = models.VectorParams(size=5, distance=models.Distance.COSINE)
    client.create_collection("letters", vectors_config={"main": params} if named else params)
    points = [
        models.PointStruct(
            id=i, vector={"main": vector} if named else vector, payload={field: text, "length": len(text)}
        )
        for i, (text, vector) in enumerate(zip(PASSAGES, letters(PASSAGES), strict=True))
    ]
    client.upsert("letters", points=points)
    return client


@pytest.mark.parametrize("named", [False, True])
def test_a_store_in_memory(named):
    rm = QdrantRM("letters", filled(qdrant_client.QdrantClient(":memory:"), named=named), vectorizer=letters)
    found = rm("bbbbb c", k=2)
    assert found.passages == ["bbbb cc", "aaaa bb"]
    assert found.ids == ["1", "0"]
    assert found.scores[0] > found.scores[1]
    assert len(rm("c", k=50)) == 5


def test_a_store_in_a_folder(tmp_path):
    filled(qdrant_client.QdrantClient(path=str(tmp_path / "store"))).close()
    rm = QdrantRM("letters", str(tmp_path / "store"), k=1, vectorizer=letters)
    with lmp.context(rm=rm):
        assert lmp.Retrieve(k=2)("zz").passages[0] == "zzzz"
    rm.client.close()


def test_another_field():
    client = filled(qdrant_client.QdrantClient(":memory:"), field="body")
    assert QdrantRM("letters", client, document_field="body", vectorizer=letters)("z", k=1).passages == [
        "zzzz"
    ]
    with pytest.raises(LMResponseError, match="a record without text in its field 'document'"):
        QdrantRM("letters", client, vectorizer=letters)("z")


def test_an_unknown_collection_is_told_with_those_there_are():
    client = filled(qdrant_client.QdrantClient(":memory:"))
    with pytest.raises(ConfigurationError, match="Qdrant has no collection 'leters'; it has: letters"):
        QdrantRM("leters", client, vectorizer=letters)("z")


def test_vectors_of_another_size_are_refused():
    client = filled(qdrant_client.QdrantClient(":memory:"))
    with pytest.raises(LMResponseError, match=r"Qdrant \(collection 'letters'\)"):
        QdrantRM("letters", client, vectorizer=lambda texts: [[1.0] for _ in texts], num_retries=0)("z")


def test_a_server_that_is_not_there():
    rm = QdrantRM("letters", "http://127.0.0.1:9", vectorizer=letters, num_retries=0)
    with pytest.raises(LMConnectionError, match="no connection"):
        rm("z")


def test_constructing_opens_nothing(tmp_path):
    rm = QdrantRM("letters", str(tmp_path / "none"), vectorizer=letters)
    assert rm.identity() == {
        "collection": "letters",
        "embedder": {"model": "tests.retrieval.vectors.letters"},
    }
    with pytest.raises(ConfigurationError, match="there is no Qdrant store in the folder"):
        rm("z")
    assert not (tmp_path / "none").exists()


def test_it_needs_an_embedder():
    with pytest.raises(ConfigurationError, match="QdrantRM needs the embedder"):
        QdrantRM("letters", ":memory:")
