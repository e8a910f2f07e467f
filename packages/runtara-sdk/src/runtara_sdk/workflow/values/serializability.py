"""The reasons why values, or all values of a type, can't be saved, with advice."""

import array
import io
import json
import sys
import typing
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
)
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import FunctionType, MethodType, ModuleType
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.functional_serializers import PlainSerializer, WrapSerializer
from pydantic_core import to_json

from runtara_sdk.workflow.values.contents import walk

_OF_MODELS = BaseModel.__get_pydantic_core_schema__.__func__  # type: ignore[attr-defined]

_CALLABLE: tuple[object, ...] = (Callable,)
_ITERABLE = (Iterable, AsyncIterable, AsyncIterator, AsyncGenerator)

_SECRET = (
    "is a secret, which would be saved masked: let the steps that need it read it where it is kept,"
    " or return it as plain text, which every reader of the database then sees"
)
_ONCE = "can be read only once: return a list, and annotate list[...]"
_ATTRS = "is a class of attrs, which can't be read back: make it a dataclass or a pydantic model"
_ARRAY = "is an array, which JSON does not hold: return .tolist(), and annotate list[float] or so"
_BYTES = "can be changed in place, which no result is: return bytes(...), and annotate bytes"
_HANDLE = "exists only in this process: return its data instead"
_OTHER = "has no JSON form: make it of dataclasses, typed dicts, pydantic models and plain values"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A reason, seen in an annotation, why its values can't or may not be saved."""

    text: str
    is_certain: bool


def of_annotation(annotation: object) -> str | None:
    """Return why no value of an annotation can be saved; None: the annotation shows no reason."""
    found = _obstacles(annotation)
    return next((one.text for one in found if one.is_certain), None)


def perhaps_of_annotation(annotation: object) -> str | None:
    """Return why some values of an annotation can't be saved; None: it shows no reason."""
    return next((one.text for one in _obstacles(annotation)), None)


def of_value(value: object) -> str | None:
    """Return the first part of a value that saving would lose, and where; None: there is none."""
    for path, part in walk(value):
        obstacle = _lost_for_good(type(part))
        if obstacle is not None:
            return _described(path, type(part), obstacle)
    return None


def unwritable(value: object) -> str:
    """Return why JSON can't hold a value: its innermost part that can't be written."""
    found = None
    for path, part in _finite(value):
        try:
            json.loads(to_json(part, bytes_mode="base64", inf_nan_mode="strings"))
        except Exception as error:
            text = advice(type(part)) or f"{_OTHER} ({error})"
            found = _described(path, type(part), text)
    return found or "it contains itself"


def advice(kind: type) -> str | None:
    """Return why values of a class can't be saved, with advice; None if they may be savable."""
    lost = _lost_for_good(kind)
    if lost is not None:
        return lost
    if hasattr(kind, "__attrs_attrs__"):
        return _ATTRS
    if issubclass(kind, bytearray | memoryview):
        return _BYTES
    if issubclass(kind, array.array) or hasattr(kind, "__array__"):
        return _ARRAY
    if issubclass(kind, io.IOBase | FunctionType | MethodType | ModuleType | type):
        return _HANDLE
    return None


def _finite(value: object) -> Iterator[tuple[str, object]]:
    try:
        yield from walk(value)
    except RecursionError:
        return


def _described(path: str, kind: type, obstacle: str) -> str:
    return f"{path or 'it'} ({kind.__qualname__}) {obstacle}"


def _lost_for_good(kind: type) -> str | None:
    # A value can have a pydantic class only if the module is imported; importing it takes long.
    types: Any = sys.modules.get("pydantic.types")
    if types is not None and issubclass(kind, types.SecretStr | types.SecretBytes | types.Secret):
        return _SECRET
    if issubclass(kind, io.IOBase | typing.IO):
        return _HANDLE
    return _ONCE if issubclass(kind, Iterator) else None


class _Walk:
    """A walk through an annotation, but not into types that have their own serializer."""

    def __init__(self) -> None:
        # The objects are kept, too: otherwise a new object could get the id of a freed one.
        self._seen: dict[int, object] = {}

    def obstacles(self, annotation: Any, path: str, *, is_certain: bool) -> Iterator[Obstacle]:
        """Yield an annotation's obstacles, `is_certain` if they hold for each of its values."""
        if id(annotation) in self._seen:
            return
        self._seen[id(annotation)] = annotation
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            if not any(map(_writes, arguments[1:])):
                yield from self.obstacles(arguments[0], path, is_certain=is_certain)
            return
        kind = origin if isinstance(origin, type) else annotation
        obstacle = _of_class(kind) if isinstance(kind, type) else None
        if obstacle is not None:
            at = f" at {path}" if path else ""
            yield Obstacle(f"{annotation_name(annotation)}{at} {obstacle}", is_certain)
            return
        for argument in arguments:
            # A union's value may be of another member, and a collection may be empty.
            yield from self.obstacles(argument, path, is_certain=is_certain and origin is tuple)
        for name, hint, is_needed in _fields(kind):
            within = is_certain and is_needed
            yield from self.obstacles(hint, f"{path}.{name}", is_certain=within)


def _obstacles(annotation: object) -> Iterator[Obstacle]:
    return _Walk().obstacles(annotation, "", is_certain=True)


def _of_class(kind: type) -> str | None:
    if kind in _CALLABLE:
        return _HANDLE
    return _ONCE if kind in _ITERABLE else advice(kind)


def _fields(kind: Any) -> Iterator[tuple[str, Any, bool]]:
    """The fields of a class without a serializer of the class, and whether each is required."""
    declared = getattr(kind, "model_fields", None)
    if isinstance(declared, Mapping):
        written = _serializers(kind)
        for name, field in declared.items():
            if not (written is None or name in written or any(map(_writes, field.metadata))):
                yield name, field.annotation, field.is_required() and not field.exclude
    elif isinstance(kind, type) and is_dataclass(kind):
        needed = {one.name: (one.default, one.default_factory) for one in fields(kind)}
        written = _serializers(kind)
        for name, hint in _hints(kind).items():
            if name in needed and written is not None and name not in written:
                yield name, hint, needed[name] == (MISSING, MISSING)
    elif typing.is_typeddict(kind):
        for name, hint in _hints(kind).items():
            yield name, hint, name in kind.__required_keys__


def _serializers(kind: Any) -> set[str] | None:
    """The fields that a class serializes by its own methods; None: perhaps its whole value."""
    own = getattr(kind, "__pydantic_decorators__", None)
    config = getattr(kind, "model_config", None) or getattr(kind, "__pydantic_config__", {})
    made = getattr(kind, "__get_pydantic_core_schema__", None)
    is_own = made is not None and getattr(made, "__func__", made) is not _OF_MODELS
    if config.get("json_encoders") or is_own or (own is not None and own.model_serializers):
        return None
    if own is None:
        return _serializers_of_dataclass(kind)
    return {name for one in own.field_serializers.values() for name in one.info.fields}


def _serializers_of_dataclass(kind: type) -> set[str] | None:
    """As `_serializers`, for a plain dataclass, which still has its decorated methods."""
    members = (member for one in kind.__mro__ for member in vars(one).values())
    found = [getattr(member, "decorator_info", None) for member in members]
    if any(getattr(one, "decorator_repr", None) == "@model_serializer" for one in found):
        return None
    return {
        name
        for one in found
        if one is not None and getattr(one, "decorator_repr", None) == "@field_serializer"
        for name in one.fields
    }


def _hints(kind: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind, include_extras=True)
    except (NameError, TypeError):
        return {}


def _writes(metadata: object) -> bool:
    is_serializer = isinstance(metadata, PlainSerializer | WrapSerializer)
    return is_serializer or hasattr(metadata, "__get_pydantic_core_schema__")


def annotation_name(annotation: object) -> str:
    """Return the name of an annotation for messages."""
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)
