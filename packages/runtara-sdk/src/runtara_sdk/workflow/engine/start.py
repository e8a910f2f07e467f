"""The first checkpoint of an instance, with its workflow and its input."""

import json

from runtara_sdk.workflow.engine import records
from runtara_sdk.workflow.engine.keys import OWN
from runtara_sdk.workflow.engine.records import Kind, Record
from runtara_sdk.workflow.errors import NotSerializable
from runtara_sdk.workflow.values.form import Form

START = f"{OWN}workflow"
"""Its key."""

FORMATS = (1, 2)
"""The formats of an instance's other checkpoints: that of older versions, and this one's."""


def first_record(
    workflow: str,
    text: bytes | None,
    form: Form = Form.ALIASES,
    function: str | None = None,
) -> Record:
    """
    Make the first record. `text`: the input as JSON; None for no input, which is not null.

    `form`: the form of the input; other programs write it by aliases. `function`: `module:name` of
    the workflow; None accepts any function.
    """
    said: dict[str, object] = {"workflow": workflow, "format": FORMATS[-1]}
    if function is not None:
        said["function"] = function
    if text is not None:
        said["input"] = json.loads(text)
    value = json.dumps(said, ensure_ascii=False).encode(errors="backslashreplace")
    return Record(Kind.START, value, form=form)


def start_of(key: str, state: bytes) -> tuple[str, bytes]:
    """
    Return the workflow and the input of a first record.

    Raises NotSerializable if a start does not accept the input's form.
    """
    record = records.decode(key, state)
    saved = json.loads(record.value)
    if record.form is not Form.ALIASES:
        raise NotSerializable(
            f"an argument of continue_as_new() in workflow {saved['workflow']!r} does not come back"
            " equal from JSON by its aliases: let its type accept the JSON that it writes"
        )
    text = json.dumps(saved["input"], ensure_ascii=False) if "input" in saved else ""
    return saved["workflow"], text.encode(errors="backslashreplace")


def as_utf8(text: bytes) -> bytes:
    """
    Return JSON in UTF-8 without a byte-order mark; Windows programs write other encodings.

    Raises ValueError if the text does not fit the encoding of its byte-order mark.
    """
    return text.decode(json.detect_encoding(text), "surrogatepass").encode(errors="surrogatepass")
