"""Ids of examples as pytest shows them: ASCII, short, unique, and the same wherever they are made."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from pytest_lmprog.programs.example import Example

__all__ = ["MAX_CASE_ID", "case_id", "case_ids"]

MAX_CASE_ID = 60
"""Characters of a case id at most."""

_UNSAFE = re.compile(r"[^A-Za-z0-9 _.+=@,~#%!-]+|::+")


def case_id(id_: str) -> str:
    """Return ``id_`` as it stands within the brackets of a node id.

    Letters, digits, spaces and ``_.+=@,~#%!-`` stay; accents are dropped and all else becomes ``_``. An id
    that had to be changed or cut ends in ``~`` and ten digits of its digest, so that no two meet and
    none depends on its neighbours."""
    plain = unicodedata.normalize("NFKD", id_).encode("ascii", "ignore").decode("ascii")
    safe = re.sub(r"\s+", " ", _UNSAFE.sub("_", plain)).strip()
    if safe == id_ and len(safe) <= MAX_CASE_ID:
        return safe
    mark = "~" + hashlib.sha256(id_.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return safe[: MAX_CASE_ID - len(mark)].rstrip(" _") + mark


def case_ids(examples: Iterable[Example]) -> list[str]:
    """Return the case id of each example, in order. They are unique if the examples' ids are."""
    return [case_id(example.id) for example in examples]
