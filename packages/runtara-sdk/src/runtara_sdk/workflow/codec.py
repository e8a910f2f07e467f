"""Values to JSON and back, as their annotations say, by pydantic; imported at first use."""

import types
import typing
from collections.abc import Sequence
from functools import cache
from typing import Any, get_args, get_origin

import typing_extensions
from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema

from runtara_sdk.workflow import shapes
from runtara_sdk.workflow.errors import NotSaveable, StateUnreadable
from runtara_sdk.workflow.likeness import alike
from runtara_sdk.workflow.reports import said

_CONFIG = ConfigDict(
    ser_json_bytes="base64",
    val_json_bytes="base64",
    ser_json_inf_nan="strings",
)

_STRICT = ConfigDict(**_CONFIG, extra="forbid")

_SHOWN = 200


def encode(what: str, value: object, annotation: object) -> bytes:
    """
    Write a value as JSON that gives the same value back, its types included.

    Raises NotSaveable, which names `what`, if it would not.
    """
    adapter = _adapter_for(what, annotation)
    try:
        text = adapter.dump_json([value], warnings="error", by_alias=True)[1:-1]
        back = adapter.validate_json(b"[" + text + b"]")[0]
        is_alike = alike(value, back)
    except Exception as error:  # Validators and comparisons of the user's may raise anything.
        raise NotSaveable(_refusal(what, value, annotation, said(error))) from None
    if not is_alike:
        raise NotSaveable(_refusal(what, value, annotation, f"it would come back as {_cut(back)}"))
    return text


def check(what: str, annotation: object) -> None:
    """Raises NotSaveable for an annotation whose values can't be saved, whatever they are."""
    _adapter_for(what, annotation)


def decode(what: str, text: bytes, annotation: object) -> object:
    """Read what `encode` wrote; raises StateUnreadable if it does not fit the annotation."""
    try:
        return read(what, text, annotation)
    except Misfit as error:
        raise StateUnreadable(
            f"what is saved for {what} is no {_shown(annotation)} any more, and was left alone:"
            f" let the annotation take the saved {text[:200].decode(errors='replace')!r} too"
            f" ({error})"
        ) from error


class Misfit(ValueError):
    """JSON that is none of its type; the problems each name a field, what it takes, what it got."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def read(what: str, text: bytes, annotation: object, *, is_strict: bool = False) -> object:
    """
    Read JSON; raises Misfit, which calls the value `what`.

    `is_strict` takes no fields that dataclasses and typed dicts don't know, at any depth.
    """
    adapter = _adapter_for(what, annotation, is_strict=is_strict)
    try:
        found: list[object] = adapter.validate_json(b"[" + text + b"]")
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        raise Misfit([shapes.problem(one, what) for one in problems]) from None
    except Exception as error:
        raise Misfit([f"{what} is refused by {type(error).__qualname__}: {said(error)}"]) from None
    if len(found) != 1:
        raise Misfit([f"{what} is no JSON"])
    return found[0]


def shape(what: str, annotation: object) -> str:
    """Show in a line what JSON an annotation takes."""
    try:
        schema = _adapter_for(what, annotation).json_schema()
    except PydanticInvalidForJsonSchema:
        return _shown(annotation)
    return shapes.shape({"$defs": schema.get("$defs", {})} | schema["items"])


def _refusal(what: str, value: object, annotation: object, reason: str) -> str:
    return (
        f"{what} gave {_cut(value)}, which would not come back the same as {_shown(annotation)}:"
        f" {reason}; annotate the type it has, or make it one of dataclasses, typed dicts, pydantic"
        ' models (for bytes, with ser_json_bytes="base64" and val_json_bytes="base64") and plain'
        " values"
    )


def _cut(value: object) -> str:
    try:
        text = repr(value)
    except Exception:
        # Whatever a class of the user's raises, or too long an int.
        text = f"<{type(value).__qualname__}>"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _shown(annotation: object) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)


def _adapter_for(
    what: str, annotation: object, *, is_strict: bool = False
) -> TypeAdapter[list[Any]]:
    try:
        return _cached(annotation, is_strict)
    except TypeError:  # An annotation that is not hashable.
        return _adapter(annotation, is_strict)
    except PydanticUserError as error:
        raise NotSaveable(
            f"{what} is annotated with {_shown(annotation)}, which can't be saved: {error.message}"
        ) from error


@cache
def _cached(annotation: object, is_strict: bool) -> TypeAdapter[list[Any]]:
    return _adapter(annotation, is_strict)


def _adapter(annotation: object, is_strict: bool) -> TypeAdapter[list[Any]]:
    # In a list, because the settings reach what is in it: typed dicts and dataclasses have their
    # own, and refuse others.
    kind: Any = types.GenericAlias(list, (_with_typed_dicts(annotation),))
    return TypeAdapter(kind, config=_STRICT if is_strict else _CONFIG)


def _with_typed_dicts(annotation: Any) -> Any:
    """Take typing's typed dicts for typing_extensions': before 3.12 pydantic takes only those."""
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
