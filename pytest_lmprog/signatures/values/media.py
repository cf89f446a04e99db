"""Image, Audio and File: inputs that are no text. They hold their content, so that keys follow it."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pytest_lmprog.errors import UsageError
from pytest_lmprog.signatures.kinds import shown

__all__ = ["Audio", "File", "Image", "Media", "MediaKind"]

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"%PDF", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
)
_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}
_DATA_URL = re.compile(r"data:([\w.+-]{1,80}/[\w.+-]{1,80})?((?:;[\w=.+-]{1,80}){0,5});base64,")
_WEB = ("http://", "https://", "gs://")


class Media:
    """What Image, Audio and File share: made from bytes, a path or an address; immutable, shown shortened."""

    __slots__ = ()

    def __init__(self, source: Any = None, **given: Any) -> None:
        raise NotImplementedError

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} does not change; make a new one")

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    @classmethod
    def read(cls, value: Any) -> Self:
        """Return ``value``, or its plain form, as this type. Raises ValueError or UsageError."""
        if isinstance(value, cls):
            return value
        if isinstance(value, Mapping):
            return cls(**value)
        return cls(value)

    @classmethod
    def from_path(cls, path: str | os.PathLike[str]) -> Self:
        """Return the content of a file."""
        return cls(Path(path))

    from_file = from_path

    def part(self) -> dict[str, Any]:
        """Return the part of a message that shows it to the LM, in OpenAI's wire form."""
        raise NotImplementedError

    @classmethod
    def __lmprog_kind__(cls) -> MediaKind:
        return MediaKind(cls)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._shown()})"

    __str__ = __repr__

    def _shown(self) -> str:
        raise NotImplementedError


def _about(content_type: str, data: str) -> str:
    """Say what base64 data is without showing it."""
    raw = base64.b64decode(data)
    return f"{content_type}, {len(raw):,} bytes, sha256 {hashlib.sha256(raw).hexdigest()[:12]}"


def _content(source: Any, what: str) -> tuple[str | None, bytes]:
    """Return content type, as far as it can be told, and bytes. Raises UsageError."""
    name = None
    if isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        try:
            source = Path(name).read_bytes()
        except OSError as error:
            raise UsageError(
                f"{what} cannot be read: {error}", hint=f"{what} takes bytes, a path or a URL"
            ) from None
    if isinstance(source, bytearray | memoryview):
        source = bytes(source)
    if not isinstance(source, bytes):
        raise UsageError(
            f"{what} cannot be made of {shown(source)}", hint=f"{what} takes bytes, a path or a URL"
        )
    return _sniffed(source) or _by_suffix(name), source


def _sniffed(raw: bytes) -> str | None:
    if raw[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(raw[8:12])
    return next((kind for start, kind in _SIGNATURES if raw.startswith(start)), None)


def _by_suffix(name: str | None) -> str | None:
    if name is None:
        return None
    import mimetypes

    return mimetypes.guess_type(name)[0]


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _split(url: str, what: str) -> tuple[str, str]:
    """Return content type and base64 data of a data URL. Raises UsageError."""
    match = _DATA_URL.match(url)
    if match is None:
        raise UsageError(f"{what}: this is no data URL: {shown(url)}", hint="data:image/png;base64,...")
    data = url[match.end() :]
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise UsageError(f"{what}: the data of {shown(url)} is not base64") from None
    return match.group(1) or "application/octet-stream", data


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class Image(Media):
    """A picture.

    Parameters
    ----------
    source: an address (``https://...``, which the endpoint fetches), a data URL, a path, bytes, or a PIL
        image.
    url: an address or a data URL.

    A file is read at once: what is sent, and so the key, is its content, wherever it lies.
    """

    url: str

    def __init__(self, source: Any = None, *, url: str | None = None) -> None:
        given = source if url is None else url
        if isinstance(given, Image):
            given = given.url
        if isinstance(given, Mapping) and set(given) == {"url"}:
            given = given["url"]
        self._set(url=_image_url(given))

    @classmethod
    def from_url(cls, url: str) -> Image:
        """Return the picture at an address."""
        return cls(url=url)

    @classmethod
    def from_PIL(cls, image: Any) -> Image:
        """Return a PIL image."""
        return cls(image)

    def part(self) -> dict[str, Any]:
        """See Media."""
        return {"type": "image_url", "image_url": {"url": self.url}}

    def _shown(self) -> str:
        return _about(*_split(self.url, "Image")) if self.url.startswith("data:") else repr(self.url)


def _image_url(given: Any) -> str:
    if isinstance(given, str):
        address = given.strip()
        if address.startswith(_WEB):
            return address
        if address.startswith("data:"):
            _split(address, "Image")
            return address
    if hasattr(given, "save") and hasattr(given, "mode"):
        given = _saved(given)
    kind, raw = _content(given, "Image")
    if kind is None or not kind.startswith("image/"):
        raise UsageError(f"Image: this is no picture that can be told by its content or name: {shown(given)}")
    return f"data:{kind};base64,{_base64(raw)}"


def _saved(image: Any) -> bytes:
    import io

    buffer = io.BytesIO()
    image.save(buffer, format=image.format or "PNG")
    return buffer.getvalue()


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class Audio(Media):
    """A sound.

    Parameters
    ----------
    source: a data URL, a path, or bytes.
    data, audio_format: base64 text and its format (``wav``, ``mp3``), instead.
    """

    data: str
    audio_format: str

    def __init__(
        self, source: Any = None, *, data: str | None = None, audio_format: str | None = None
    ) -> None:
        if isinstance(source, Audio):
            data, audio_format = source.data, source.audio_format
        elif data is not None:
            _split(f"data:audio/{audio_format or 'wav'};base64,{data}", "Audio")
        elif isinstance(source, str) and source.startswith("data:"):
            kind, data = _split(source, "Audio")
            audio_format = audio_format or _format_of(kind)
        else:
            told, raw = _content(source, "Audio")
            audio_format = audio_format or _format_of(told)
            data = _base64(raw)
        self._set(data=data, audio_format=audio_format or "wav")

    def part(self) -> dict[str, Any]:
        """See Media."""
        return {"type": "input_audio", "input_audio": {"data": self.data, "format": self.audio_format}}

    def _shown(self) -> str:
        return _about(f"audio/{self.audio_format}", self.data)


def _format_of(kind: str | None) -> str:
    if kind is None or not kind.startswith("audio/"):
        raise UsageError("Audio: its format cannot be told", hint='Audio(..., audio_format="wav")')
    name = kind.removeprefix("audio/")
    return _AUDIO_FORMATS.get(name, name)


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class File(Media):
    """A document, such as a PDF.

    Parameters
    ----------
    source: a data URL, a path, or bytes.
    file_data: a data URL, instead.
    filename: what the LM is told it is called (default: the path's last part).
    file_id: the name of a file that the provider has already, instead.
    """

    file_data: str | None
    filename: str | None
    file_id: str | None

    def __init__(
        self,
        source: Any = None,
        *,
        file_data: str | None = None,
        filename: str | None = None,
        file_id: str | None = None,
    ) -> None:
        if isinstance(source, File):
            file_data, filename, file_id = source.file_data, filename or source.filename, source.file_id
        elif isinstance(source, str) and source.startswith("data:"):
            file_data = source
        elif source is not None:
            kind, raw = _content(source, "File")
            file_data = f"data:{kind or 'application/octet-stream'};base64,{_base64(raw)}"
            if filename is None and not isinstance(source, bytes | bytearray | memoryview):
                filename = Path(os.fspath(source)).name
        if file_data is not None:
            _split(file_data, "File")
        elif file_id is None:
            raise UsageError("File: there is neither content nor file_id", hint='File("report.pdf")')
        self._set(file_data=file_data, filename=filename, file_id=file_id)

    @classmethod
    def from_bytes(cls, file_bytes: bytes, filename: str | None = None) -> File:
        """Return a document of these bytes."""
        return cls(file_bytes, filename=filename)

    @classmethod
    def from_file_id(cls, file_id: str, filename: str | None = None) -> File:
        """Return a document that the provider has already."""
        return cls(file_id=file_id, filename=filename)

    def part(self) -> dict[str, Any]:
        """See Media."""
        said = {"file_data": self.file_data, "filename": self.filename, "file_id": self.file_id}
        return {"type": "file", "file": {name: value for name, value in said.items() if value is not None}}

    def _shown(self) -> str:
        about = (
            f"file_id={self.file_id!r}" if self.file_data is None else _about(*_split(self.file_data, "File"))
        )
        return about if self.filename is None else f"{self.filename!r}, {about}"


class MediaKind:
    """``Image``, ``Audio`` or ``File``."""

    __slots__ = ("cls", "text")
    takes_text = False

    def __init__(self, cls: type[Media]) -> None:
        self.cls = cls
        self.text = cls.__name__

    def schema(self) -> dict[str, Any]:
        """See Kind."""
        return {"type": "object"}

    def is_exact(self, value: Any) -> bool:
        """See Kind."""
        return type(value) is self.cls

    def convert(self, value: Any) -> Any:
        """See Kind."""
        try:
            return self.cls.read(value)
        except UsageError as error:
            raise ValueError(error.message) from None
        except TypeError:
            raise ValueError(f"{shown(value)} is not {self.text}") from None

    def plain(self, value: Any) -> Any:
        """See Kind."""
        media = self.convert(value)
        fields = {f.name: getattr(media, f.name) for f in dataclasses.fields(media)}
        return {name: value for name, value in fields.items() if value is not None}

    def media_parts(self, value: Any) -> list[dict[str, Any]]:
        """Return the parts of a message that show ``value``."""
        return [self.convert(value).part()]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MediaKind) and other.cls is self.cls

    def __hash__(self) -> int:
        return hash(self.cls)
