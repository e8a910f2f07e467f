"""Checks of an image's bytes before they are stored."""

import stat
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from runtara_domain.error import InvalidValue
from runtara_domain.model.stored_images import RunnerType
from runtara_environment.images.metadata import check_metadata

MAX_UNPACKED_BYTES = 1024 * 1024 * 1024
MAX_FILES = 50_000
_LONGEST_NAME = 1024
_PIECE = 1024 * 1024


def check_image(
    runners: Collection[str], content: Path, runner_type: RunnerType, metadata: Mapping[str, object]
) -> None:
    """
    Raise InvalidValue, with the remedy, if these bytes are no runnable image.

    runners: the runner types with a runner; WASM needs one of an installed package. A Python
    image's zip is read to its end, without unpacking it. That takes time: call it in a thread.
    """
    if runner_type is RunnerType.WASM and runner_type not in runners:
        raise InvalidValue("runner_type: WASM is not supported: take OCI, NATIVE or PYTHON")
    check_metadata(runner_type, metadata)
    if content.stat().st_size == 0:
        raise InvalidValue("binary is required")
    if runner_type is RunnerType.PYTHON:
        check_zip(content)


def check_zip(content: Path) -> None:
    """Raise InvalidValue if bytes are no zip, or would be unpacked outside of the folder."""
    try:
        with zipfile.ZipFile(content) as archive:
            _check_entries(archive.infolist())
            for entry in archive.infolist():
                _read(archive, entry)
    except _BROKEN as error:
        raise InvalidValue(
            f"binary: a Python image takes a zip of source, or a wheel: {error}"
        ) from error


_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
)


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_FILES:
        raise InvalidValue(f"binary: a zip takes at most {MAX_FILES} files, got {len(entries)}")
    size = sum(entry.file_size for entry in entries)
    if size > MAX_UNPACKED_BYTES:
        raise InvalidValue(
            f"binary: a zip takes at most {MAX_UNPACKED_BYTES} bytes unpacked, got {size}"
        )
    names: set[str] = set()
    for entry in entries:
        _check_entry(entry)
        name = entry.filename.rstrip("/")
        if name in names:
            raise InvalidValue(f"binary: the zip has {name!r} twice")
        names.add(name)


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or len(name) > _LONGEST_NAME:
        raise InvalidValue(f"binary: a zip takes relative paths without .., got {name[:80]!r}")
    mode = entry.external_attr >> 16
    if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_IFMT(mode) == 0):
        raise InvalidValue(
            f"binary: a zip takes files and folders, {name[:80]!r} is something else"
        )


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    with archive.open(entry) as file:
        while file.read(_PIECE):
            pass
