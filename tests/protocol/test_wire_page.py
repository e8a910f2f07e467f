"""docs/wire.md and the management protocol's .proto say the same."""

import re
from pathlib import Path

from google.protobuf.descriptor import FieldDescriptor

from runtara_protocol.pb import environment_pb2 as pb

PAGE = (Path(__file__).parents[2] / "docs" / "wire.md").read_text()
_ROW = re.compile(
    r"^\| (?P<number>\d+) \| `(?P<name>\w+)`(?: †)? \| (?P<request>\w+) → (?P<response>\w+) \|",
    re.MULTILINE,
)
_DAGGER = re.compile(r"^\| \d+ \| `(\w+)` † \|", re.MULTILINE)


def members(message: str) -> dict[str, FieldDescriptor]:
    """Give the members of the one oneof of `RpcRequest` or `RpcResponse` by name."""
    (oneof,) = pb.DESCRIPTOR.message_types_by_name[message].oneofs
    return {field.name: field for field in oneof.fields}


def message_of(field: FieldDescriptor) -> str:
    """Give the name of the message that a member of a oneof holds."""
    assert field.message_type is not None
    return field.message_type.name


def answer_to(operation: str) -> str:
    """Give the name of the response's member that answers an operation."""
    return "register_image" if operation == "register_image_stream" else operation


def test_the_page_lists_every_operation_with_its_number_and_messages() -> None:
    """The page's rows are the oneofs of the .proto file, no more and no fewer."""
    requests, responses = members("RpcRequest"), members("RpcResponse")

    rows = {
        (int(row["number"]), row["name"], row["request"], row["response"])
        for row in _ROW.finditer(PAGE)
    }

    assert rows == {
        (field.number, name, message_of(field), message_of(responses[answer_to(name)]))
        for name, field in requests.items()
    }


def test_a_response_has_its_operations_number() -> None:
    """Only get_capability's answer, whose number `error` has, and a streamed upload's differ."""
    requests, responses = members("RpcRequest"), members("RpcResponse")

    differing = {
        name
        for name, field in requests.items()
        if responses[answer_to(name)].number != field.number
    }

    assert differing == {"get_capability", "register_image_stream"}


def test_operations_marked_in_the_page_refuse_inside_their_response() -> None:
    """Their responses begin with `success`, and have `error` and `code`."""
    responses = members("RpcResponse")

    refusing = {
        name
        for name in members("RpcRequest")
        if {"success", "error", "code"}
        <= set(
            pb.DESCRIPTOR.message_types_by_name[
                message_of(responses[answer_to(name)])
            ].fields_by_name
        )
    }

    assert refusing == set(_DAGGER.findall(PAGE))
