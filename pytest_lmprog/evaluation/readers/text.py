"""The text of a dataset file: UTF-8, with or without a byte order mark, free of merge conflicts."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from pytest_lmprog.errors import DataError

__all__ = ["read_text"]

_CONFLICT = re.compile(r"^<<<<<<< .*$[\s\S]*?^>>>>>>> ", re.MULTILINE)


def read_text(path: Path, shown: str) -> str:
    """Return the text of ``path``. Raises DataError for a file that is missing, a directory, unreadable,
    empty, not UTF-8, or holds merge conflict markers."""
    text = _decoded(_bytes(path, shown), shown)
    if not text.strip():
        raise DataError("the file is empty", path=shown, hint="a dataset needs one row or more")
    if "<<<<<<< " in text and (conflict := _CONFLICT.search(text)):
        line = text.count("\n", 0, conflict.start()) + 1
        raise DataError(
            "merge conflict markers", path=shown, line=line, hint="resolve the conflict, then run again"
        )
    return text


def _bytes(path: Path, shown: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError("there is no such file", path=shown, hint=_near(path)) from None
    except IsADirectoryError:
        raise DataError("this is a directory, not a file", path=shown) from None
    except OSError as error:
        what = "this is a directory, not a file" if path.is_dir() else f"cannot be read: {error.strerror}"
        raise DataError(what, path=shown) from None


def _near(path: Path) -> str:
    try:
        names = sorted(p.name for p in path.parent.iterdir() if p.is_file())
    except OSError:
        return "its folder does not exist either; the path is relative to the test file"
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.6)
    same_stem = [n for n in names if Path(n).stem == path.stem and n not in near]
    found = (near + same_stem)[:3]
    if found:
        return f"the folder has {', '.join(found)}"
    return "the path is relative to the test file"


def _decoded(data: bytes, shown: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start
    line = data.count(b"\n", 0, start) + 1
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    what = "it looks like UTF-16" if utf16 else f"byte 0x{data[start]:02x}"
    raise DataError(f"not UTF-8 ({what})", path=shown, line=line, hint="save the file as UTF-8") from None
