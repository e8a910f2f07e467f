"""Writes values as JSON and reads them, as annotations say, by pydantic; imported at first use."""

import json
import types
import typing
from array import array
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args, get_origin

import typing_extensions
from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError
from pydantic_core import to_json

from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.errors import NotSerializable, StateUnreadable
from runtara_sdk.workflow.user_objects import shown, text_of
from runtara_sdk.workflow.values import schema, serializability
from runtara_sdk.workflow.values.form import Form
from runtara_sdk.workflow.values.round_trip import losses
from runtara_sdk.workflow.values.serializability import annotation_name

logger = get_logger(__name__)

_CONFIG = ConfigDict(
    ser_json_bytes="base64",
    val_json_bytes="base64",
    ser_json_inf_nan="strings",
)

_STRICT = ConfigDict(**_CONFIG, extra="forbid")

_SHOWN = 200


@dataclass(slots=True)
class Written:
    """A value as JSON, the form in which it is to be read, and what was then read."""

    text: bytes
    form: Form
    back: object


class Unread(NotSerializable):
    """A value read by its annotation would not be equal; `text` is its JSON by its own type."""

    def __init__(self, message: str, text: bytes) -> None:
        super().__init__(message)
        self.text = text


def encode(
    what: str, value: object, annotation: object, forms: Collection[Form] = tuple(Form)
) -> Written:
    """
    Write a value as JSON that reads as an equal value of a compatible type, by the annotation.

    Raises Unread if the JSON would read as another value, and NotSerializable for a value that JSON
    can't hold, such as a masked secret; both name `what`. Logs a warning if a zone becomes an
    offset. `forms` are the forms to try.
    """
    adapter = _adapter_for(what, annotation)
    reasons = []
    for form, write in _WAYS:
        if form not in forms:
            continue
        try:
            text = write(adapter, value)
            back = _read(adapter, text, form, what)
            lost = losses(value, back)
        except Exception as error:  # The user's validators and comparisons may raise anything.
            reasons.append((2 if isinstance(error, TypeMismatch) else 3, text_of(error)))
            continue
        if lost.first is None:
            _warn_of_zones(what, lost.zones)
            return Written(text, form, back)
        reasons.append((1, lost.first))
    raise _refused(what, value, annotation, min(reasons)[1])


def _by_names(adapter: TypeAdapter[list[Any]], value: object) -> bytes:
    return adapter.dump_json([value], warnings="error", by_alias=False, round_trip=True)[1:-1]


def _by_itself(adapter: TypeAdapter[list[Any]], value: object) -> bytes:
    text = to_json(
        value,
        by_alias=False,
        round_trip=True,
        bytes_mode="base64",
        inf_nan_mode="strings",
        fallback=_plain,
    )
    json.loads(text)  # Raises for an integer with more digits than Python reads.
    return text


def _plain(value: object) -> object:
    """Turn collections that pydantic does not know into a dict or a list."""
    match value:
        case Mapping():
            return dict(value)
        case Sequence() | AbstractSet() if not isinstance(value, memoryview | array):
            return list(value)
    raise TypeError(f"{type(value).__qualname__} is not known")


def _as_annotated(adapter: TypeAdapter[list[Any]], value: object) -> bytes:
    return _by_names(adapter, adapter.validate_python([value], by_alias=False, by_name=True)[0])


def _by_aliases(adapter: TypeAdapter[list[Any]], value: object) -> bytes:
    return adapter.dump_json([value], warnings="error", by_alias=True)[1:-1]


# The last way is for models with validators that know only the aliases.
_WAYS = (
    (Form.NAMES, _by_names),
    (Form.NAMES, _by_itself),
    (Form.NAMES, _as_annotated),
    (Form.ALIASES, _by_aliases),
)


def _refused(what: str, value: object, annotation: object, reason: str) -> NotSerializable:
    try:
        own = _by_itself(_adapter_for(what, Any), value)
    except Exception:  # The user's serializers may raise anything.
        return _unwritable(what, value, serializability.unwritable(value))
    obstacle = serializability.of_value(value)
    if obstacle is not None:
        return _unwritable(what, value, obstacle)
    return Unread(
        f"{what} gave {shown(value, _SHOWN)}, which would not come back equal as"
        f" {annotation_name(annotation)}: {reason}; annotate the type that it has",
        own,
    )


def _unwritable(what: str, value: object, obstacle: str) -> NotSerializable:
    return NotSerializable(f"{what} gave {shown(value, _SHOWN)}, which can't be saved: {obstacle}")


def _warn_of_zones(what: str, zones: Sequence[str]) -> None:
    if zones:
        logger.warning(
            "%s gave a datetime with a zone%s, which is saved with its offset: the zone's rules are"
            " gone, so that adding days across a change of the clock misses it; annotate"
            " Annotated[datetime, Zoned], with Zoned from runtara_sdk, to keep the zone",
            what,
            f" at {zones[0]}" if zones[0] else "",
        )


def output(what: str, value: object, annotation: object) -> bytes:
    """
    Write an output for other programs, by its aliases.

    Raises NotSerializable if JSON can't hold it; logs a warning if it would not come back equal.
    """
    try:
        # A value of another type than annotated is written by its own type in the same pass,
        # because a generator can be read only once.
        text = _adapter_for(what, annotation).dump_json([value], warnings=False, by_alias=True)
        text = text[1:-1]
    except Exception:  # As in `encode`; and pydantic may not know the annotation.
        try:
            text = to_json(
                value,
                by_alias=True,
                bytes_mode="base64",
                inf_nan_mode="strings",
                fallback=_plain,
            )
        except Exception:
            raise _unwritable(what, value, serializability.unwritable(value)) from None
    try:
        encode(what, value, annotation)
    except NotSerializable as lost:
        logger.warning("%s; the output is saved nevertheless, for others to read", lost)
    return text


def check(what: str, annotation: object) -> None:
    """
    Raises NotSerializable for an annotation if none of its values can be saved.

    If some of its values can't be saved, a warning is logged, once an annotation.
    """
    _adapter_for(what, annotation)
    try:
        obstacle = _obstacle_of(annotation)
    except TypeError:  # An annotation that is not hashable.
        obstacle = serializability.of_annotation(annotation)
    if obstacle is not None:
        raise NotSerializable(f"what {what} gives can't be saved: {obstacle}")


@cache
def _obstacle_of(annotation: object) -> str | None:
    """Return the obstacle to saving all values of an annotation; warn of a possible one."""
    obstacle = serializability.of_annotation(annotation)
    possible = None if obstacle else serializability.perhaps_of_annotation(annotation)
    if possible is not None:
        logger.warning(
            "some values of %s may not be savable: %s",
            annotation_name(annotation),
            possible,
        )
    return obstacle


def decode(what: str, text: bytes, annotation: object, form: Form = Form.NAMES) -> object:
    """Read the text of `encode`; raises StateUnreadable if it does not fit the annotation."""
    try:
        return _read(_adapter_for(what, annotation), text, form, what)
    except TypeMismatch as error:
        raise StateUnreadable(
            f"the saved value of {what} is no {annotation_name(annotation)} any more, and is"
            " left unchanged: let the annotation also take the saved"
            f" {text[:200].decode(errors='replace')!r} ({error})"
        ) from error


class TypeMismatch(ValueError):
    """JSON does not fit a type; each problem names a field, the values it takes, and its value."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def read(
    what: str,
    text: bytes,
    annotation: object,
    *,
    is_strict: bool = False,
    form: Form = Form.ALIASES,
) -> object:
    """
    Read JSON by an annotation; raises TypeMismatch, which calls the value `what`.

    `is_strict` refuses fields that dataclasses and typed dicts don't have, at any depth.
    """
    return _read(_adapter_for(what, annotation, is_strict=is_strict), text, form, what)


def _read(adapter: TypeAdapter[list[Any]], text: bytes, form: Form, what: str) -> object:
    by_name = form is not Form.ALIASES or None
    by_alias = form is not Form.NAMES
    try:
        found = adapter.validate_json(b"[" + text + b"]", by_alias=by_alias, by_name=by_name)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        raise TypeMismatch([schema.problem(one, what) for one in problems]) from None
    except Exception as error:
        raise TypeMismatch(
            [f"{what} is refused by {type(error).__qualname__}: {text_of(error)}"]
        ) from None
    if len(found) != 1:
        raise TypeMismatch([f"{what} is no JSON"])
    return found[0]


def shape(what: str, annotation: object) -> str:
    """Return a line that shows the JSON that an annotation takes."""
    try:
        found = _adapter_for(what, annotation).json_schema()
    except PydanticInvalidForJsonSchema:
        return annotation_name(annotation)
    return schema.shape({"$defs": found.get("$defs", {})} | found["items"])


def _adapter_for(
    what: str, annotation: object, *, is_strict: bool = False
) -> TypeAdapter[list[Any]]:
    try:
        return _adapter(annotation, is_strict)
    except TypeError:  # An annotation that is not hashable.
        return _adapter.__wrapped__(annotation, is_strict)
    except PydanticUserError as error:
        raise NotSerializable(
            f"{what} is annotated with {annotation_name(annotation)}, which can't be saved:"
            f" {serializability.perhaps_of_annotation(annotation) or _known(error)}"
        ) from error


def _known(error: PydanticUserError) -> str:
    if isinstance(error, PydanticSchemaGenerationError):
        # Pydantic's message advises a setting with which such a value is written but not read.
        return f"{error.message.partition('. ')[0]}: make it a dataclass or a pydantic model"
    return error.message


@cache
def _adapter(annotation: object, is_strict: bool) -> TypeAdapter[list[Any]]:
    # The annotation is put into a list, through which the settings reach it: an adapter of a typed
    # dict or a dataclass itself takes no settings, because these types have their own.
    kind: Any = types.GenericAlias(list, (_with_typed_dicts(annotation),))
    return TypeAdapter(kind, config=_STRICT if is_strict else _CONFIG)


def _with_typed_dicts(annotation: Any) -> Any:
    """Replace typing's typed dicts by typing_extensions': before 3.12 pydantic takes only those."""
    if typing.is_typeddict(annotation) and type(annotation).__module__ == "typing":
        hints = typing.get_type_hints(annotation, include_extras=True)
        fields = {name: _with_typed_dicts(hint) for name, hint in hints.items()}
        for name in annotation.__optional_keys__:
            fields[name] = typing_extensions.NotRequired[fields[name]]
        made: Any = typing_extensions.TypedDict
        return made(annotation.__name__, fields)
    arguments = get_args(annotation)
    changed = tuple(_with_typed_dicts(argument) for argument in arguments)
    if changed == arguments or get_origin(annotation) is typing.Literal:
        return annotation
    if isinstance(annotation, types.UnionType):
        return typing.Union[changed]  # noqa: UP007 - made of a tuple, which | can't be
    return (
        annotation.copy_with(changed)
        if hasattr(annotation, "copy_with")
        else (types.GenericAlias(get_origin(annotation), changed))
    )


def named(kinds: dict[str, Any], required: frozenset[str]) -> object:
    """Make the annotation of an object with these fields and no others."""
    taken = {name: _with_typed_dicts(kind) for name, kind in kinds.items()}
    fields = {
        name: kind if name in required else typing_extensions.NotRequired[kind]
        for name, kind in taken.items()
    }
    made: Any = typing_extensions.TypedDict
    found = made("Input", fields)
    found.__pydantic_config__ = _STRICT
    return found
