"""Says in words which JSON a type takes, and why a value does not fit."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

Schema = Mapping[str, Any]

_SHOWN = 60
_LONGEST = 2000


def problem(details: ErrorDetails, root: str) -> str:
    """Describe the problem of one field of a value; the message calls the value `root`."""
    path = root + "".join(map(_part, details["loc"][1:]))
    match details["type"]:
        case "missing":
            return f"{path} is missing"
        case "extra_forbidden" | "unexpected_keyword_argument":
            return f"{path} is not known"
        case "json_invalid":
            return f"{path} is no JSON"
        case _:
            return f"{path}: {_takes(details['msg'])}, got {_cut(details['input'])}"


def shape(schema: Schema) -> str:
    """Write a JSON schema in a line, such as {"id": string, "note"?: string}."""
    text = _shape(schema, schema.get("$defs", {}))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _part(part: int | str) -> str:
    return f"[{part}]" if isinstance(part, int) else f".{part}"


def _takes(message: str) -> str:
    """Rephrase a message of pydantic as the values that the field takes."""
    text = message.removeprefix("Value error, ").partition(", unable to parse")[0]
    text = re.sub(r"\ba valid (?=[aeiou])", "an ", text).replace("a valid ", "a ")
    return re.sub("^Input should be", "takes", text)


def _cut(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _shape(schema: Schema, named: Schema) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        # A type that holds itself is shown once; inside, only its name is shown.
        within = {each: found for each, found in named.items() if each != name}
        return _shape(named[name], within) if name in named else name
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " | ".join(dict.fromkeys(_shape(one, named) for one in schema[several]))
    if "const" in schema or "enum" in schema:
        return " | ".join(map(json.dumps, schema.get("enum", [schema.get("const")])))
    match schema.get("type"):
        case "object":
            return _object(schema, named)
        case "array":
            return _array(schema, named)
        case kind:
            format_ = f" ({schema['format']})" if "format" in schema else ""
            return f"{kind or 'anything'}{format_}"


def _object(schema: Schema, named: Schema) -> str:
    if "properties" not in schema:
        values = schema.get("additionalProperties")
        of = _shape(values, named) if isinstance(values, Mapping) else "anything"
        return f"{{string: {of}, …}}"
    needed = schema.get("required", ())
    fields = (
        f"{json.dumps(name, ensure_ascii=False)}{'' if name in needed else '?'}:"
        f" {_shape(each, named)}"
        for name, each in schema["properties"].items()
    )
    return f"{{{', '.join(fields)}}}"


def _array(schema: Schema, named: Schema) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(_shape(each, named) for each in schema['prefixItems'])}]"
    return f"[{_shape(schema.get('items', {}), named)}, …]"
