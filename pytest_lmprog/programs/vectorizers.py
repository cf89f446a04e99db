"""What makes vectors of texts: as a user gives it, as a file names it, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pytest_lmprog.errors import SnapshotError, UsageError

__all__ = ["LEXICAL", "checked_vectorizer", "vectorizer_of", "vectorizer_spec"]

LEXICAL = "lexical"
"""Name of the similarity that needs no model: TF-IDF over words and parts of words."""


def checked_vectorizer(given: Any) -> Any:
    """Return an Embedder, or None for lexical similarity, for what a user gives: None or ``"lexical"``, the
    name of an embedding model, an Embedder, a function of a list of texts. Raises UsageError for others."""
    if given is None or given == LEXICAL:
        return None
    from pytest_lmprog.retrieval.embedder import Embedder, as_embedder

    if isinstance(given, Embedder) or callable(given) or (isinstance(given, str) and given.strip()):
        return as_embedder(given)
    raise UsageError(
        f"vectorizer must be an Embedder, a model's name or a function of a list of texts, not {given!r:.60}",
        hint='leave it out for lexical similarity, or lmp.Embedder("openai/text-embedding-3-small")',
    )


def vectorizer_spec(embedder: Any) -> str | dict[str, Any]:
    """Return what a file notes of a vectorizer: ``lexical``, a model with its parameters, or a function's
    name."""
    if embedder is None:
        return LEXICAL
    if isinstance(embedder.model, str):
        return dict(embedder.identity())
    return {"function": str(embedder.name)}


def vectorizer_of(where: str, spec: Any, functions: Iterable[Any]) -> Any:
    """Return the vectorizer that ``spec``, from a file, tells of: an Embedder among ``functions`` or one made
    of the model's name, a function among ``functions``; None for lexical similarity.

    Raises SnapshotError for a function that was not given, and for a model with an address or a key: texts
    go only where the user's own settings send them."""
    if spec == LEXICAL:
        return None
    given = [checked_vectorizer(one) for one in functions]
    found = next((one for one in given if one is not None and vectorizer_spec(one) == spec), None)
    if found is not None:
        return found
    if isinstance(spec, Mapping) and isinstance(spec.get("model"), str):
        return _embedder(where, {str(name): value for name, value in spec.items()})
    name = spec.get("function") if isinstance(spec, Mapping) else None
    if not isinstance(name, str):
        raise SnapshotError(f"{where}: the vectorizer {spec!r:.60} is unknown")
    raise SnapshotError(
        f"{where}: its demos are chosen with the function {name!r}, which was not given",
        hint=f"load(path, program, functions=[{name.rpartition('.')[2]}])",
    )


def _embedder(where: str, spec: dict[str, Any]) -> Any:
    from pytest_lmprog.lm.options import sort_options
    from pytest_lmprog.retrieval.embedder import Embedder

    options = {name: value for name, value in spec.items() if name != "model"}
    sorted_ = sort_options(options)
    if sorted_.params != options:
        raise SnapshotError(f"{where}: the vectorizer may have a model and its parameters, no address or key")
    return Embedder(spec["model"], **options)
