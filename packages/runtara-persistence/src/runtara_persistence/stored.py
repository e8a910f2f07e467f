"""What is kept as JSON or checked alike in every database."""

import json
from collections.abc import Mapping
from datetime import timedelta

from runtara_domain.error import InvalidValue
from runtara_domain.model.images import Image, NewImage

_TIMEOUT = "timeout_s"


def metadata(text: str | None) -> Mapping[str, object]:
    """Read an image's metadata; what another program stored that is no object counts as none."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def env(text: str | None) -> dict[str, str]:
    """Read variables; what another program stored that is no object of texts is passed over."""
    found = metadata(text)
    return {name: value for name, value in found.items() if isinstance(value, str)}


def timeout(started_with_ms: int | None, image: Image | None) -> timedelta | None:
    """Tell how long a launch may take: the smaller of the start's and the image's bound."""
    seconds = None if image is None else image.metadata.get(_TIMEOUT)
    bounds = []
    if started_with_ms is not None:
        bounds.append(timedelta(milliseconds=started_with_ms))
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds > 0:
        bounds.append(timedelta(seconds=min(seconds, _LONGEST_S)))
    return min(bounds, default=None)


def check_upload(new: NewImage, chunks: int, last_position: int, size: int) -> None:
    """Refuse an upload that has not all its chunks, or not the size that was stated."""
    if chunks != last_position + 1:
        raise InvalidValue(
            f"upload: takes all chunks, got {chunks}, the last of position {last_position}"
        )
    if size != new.size_bytes:
        raise InvalidValue(f"upload: has {size} bytes, but size_bytes states {new.size_bytes}")


_LONGEST_S = 36_525 * 86_400
