"""The first checkpoint of an instance: which workflow it is of, and what it was started with."""

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
    Make it; `text` is the input as JSON, None if there is none, which is not null.

    `form` is the input's: what others give is written by aliases. `function` is `module:name` of
    the workflow's, None to leave that open.
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
    Give the workflow and the input of what a first record is of.

    Raises NotSerializable where the input is not as a start takes it.
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
    JSON in UTF-8 without a byte-order mark, as editors and shells of Windows write it.

    Raises ValueError for what is not in the encoding that it begins in.
    """
    return text.decode(json.detect_encoding(text), "surrogatepass").encode(errors="surrogatepass")
