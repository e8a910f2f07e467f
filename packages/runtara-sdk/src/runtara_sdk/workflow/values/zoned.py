"""Datetimes that keep their zone."""

from collections.abc import Callable
from datetime import datetime
from typing import Any


class Zoned:
    """
    Makes a datetime keep its zone when it is saved: `Annotated[datetime, Zoned]`.

    The datetime is written with the zone's name: "2026-03-28T12:00:00+01:00[Europe/Paris]". Only
    the offset is saved if the zone has no name, is no ZoneInfo, or is a fixed offset.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Callable[[Any], Any]) -> Any:
        # Imported here, so that the annotation itself imports no pydantic.
        from pydantic_core import core_schema

        inner = handler(source)
        write = core_schema.wrap_serializer_function_ser_schema(_write, schema=inner)
        return core_schema.no_info_wrap_validator_function(_read, inner, serialization=write)


def _write(value: Any, write: Callable[[Any], Any]) -> Any:
    from zoneinfo import ZoneInfo  # Imported here, because few workflows use this annotation.

    zone = value.tzinfo if isinstance(value, datetime) else None
    if not isinstance(zone, ZoneInfo) or zone.key is None:
        return write(value)
    return f"{value.isoformat()}[{zone.key}]"


def _read(value: Any, read: Callable[[Any], Any]) -> Any:
    if not (isinstance(value, str) and value.endswith("]")):
        return read(value)
    from zoneinfo import ZoneInfo

    text, _, name = value[:-1].rpartition("[")
    moment = read(text)
    try:
        return moment.astimezone(ZoneInfo(name))
    except KeyError:
        raise ValueError(
            f"takes a moment in a zone that this machine knows, and it knows no {name!r}: install"
            " tzdata"
        ) from None
