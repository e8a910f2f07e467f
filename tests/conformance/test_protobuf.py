"""The kit's own protobuf coding, alone and beside Google's."""

import typing

import pytest
from google.protobuf.message import Message as GoogleMessage
from hypothesis import given
from hypothesis import strategies as st

from runtara_conformance import envelope, messages, protobuf
from runtara_conformance.message import Message
from runtara_conformance.protobuf import Field, Fixed, NotProtobufError
from runtara_protocol.pb import instance_pb2

VALUES: st.SearchStrategy[protobuf.Value] = st.one_of(
    st.integers(0, 2**64 - 1),
    st.binary(max_size=300),
    st.binary(min_size=4, max_size=4).map(Fixed),
    st.binary(min_size=8, max_size=8).map(Fixed),
)
FIELDS = st.lists(st.tuples(st.integers(1, protobuf.MAX_FIELD_NUMBER), VALUES), max_size=8)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)

REQUESTS: st.SearchStrategy[Message] = st.one_of(
    st.builds(
        messages.RegisterInstanceRequest,
        *(TEXT, TEXT, st.none() | TEXT, st.none() | st.integers(0, 2**64 - 1)),
    ),
    st.builds(
        messages.SleepRequest,
        *(TEXT, st.integers(0, 2**64 - 1), TEXT, st.binary(), st.booleans()),
    ),
    st.builds(
        messages.InstanceEvent,
        *(TEXT, st.integers(-(2**31), 2**31 - 1), st.none() | TEXT, st.binary()),
        *(st.integers(-(2**63), 2**63 - 1), st.none() | TEXT),
    ),
    st.builds(messages.SignalAck, TEXT, st.integers(-(2**31), 2**31 - 1), st.booleans()),
    st.builds(
        messages.PollSignalsRequest,
        TEXT,
        st.none() | TEXT,
        st.none() | st.integers(0, 2**32 - 1),
        st.lists(TEXT).map(tuple),
    ),
)


@given(FIELDS)
def test_fields_come_back_in_order(fields: list[Field]) -> None:
    assert protobuf.decode(protobuf.encode(fields)) == fields


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    try:
        fields = protobuf.decode(data)
    except NotProtobufError:
        return

    assert protobuf.decode(protobuf.encode(fields)) == fields


@given(FIELDS.filter(bool), st.data())
def test_a_message_cut_short_is_never_read_whole(fields: list[Field], data: st.DataObject) -> None:
    whole = protobuf.encode(fields)
    cut = data.draw(st.integers(0, len(whole) - 1))
    try:
        read = protobuf.decode(whole[:cut])
    except NotProtobufError:
        return

    assert read == fields[: len(read)]
    assert len(read) < len(fields)


@pytest.mark.parametrize("number", [0, 1, -1, 127, 128, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63)])
def test_negative_numbers_fill_64_bits(number: int) -> None:
    event = messages.InstanceEvent(timestamp_ms=number)

    assert messages.InstanceEvent.decode(event.encode()).timestamp_ms == number


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x00\x01", id="field number 0"),
        pytest.param(b"\x0b", id="a group"),
        pytest.param(b"\x0f\x00", id="wire type 7"),
        pytest.param(b"\x0a\x05abc", id="a length beyond the end"),
        pytest.param(b"\x08\x80", id="a varint without an end"),
        pytest.param(b"\x08" + b"\xff" * 10 + b"\x01", id="a varint of eleven bytes"),
        pytest.param(b"\x0d\x01\x02", id="half a fixed32"),
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(NotProtobufError):
        protobuf.decode(data)


def test_presence_is_visible() -> None:
    assert messages.PollSignalsRequest("i").encode() == b"\x0a\x01i"
    assert messages.PollSignalsRequest("i", "", 0).encode() == b"\x0a\x01i\x12\x00\xa0\x06\x00"
    assert messages.PollSignalsResponse.decode(b"").signal is None
    assert messages.PollSignalsResponse.decode(b"\x0a\x00").signal == messages.Signal()


def test_unknown_fields_are_kept_and_written_back() -> None:
    data = protobuf.encode([(1, b"i"), (900, 7), (901, Fixed(b"1234"))])
    read = messages.GetInstanceStatusRequest.decode(data)

    assert (read.instance_id, read.unknown) == ("i", ((900, 7), (901, Fixed(b"1234"))))
    assert read.encode() == data


def test_a_field_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(NotProtobufError):
        messages.RpcError.decode(protobuf.encode([(1, 7)]))


@given(REQUESTS)
def test_google_reads_what_we_write_and_writes_the_same(request: Message) -> None:
    wrapped = envelope.wrap(request)
    theirs = instance_pb2.RpcRequest.FromString(wrapped)

    assert theirs.SerializeToString(deterministic=True) == wrapped
    name = theirs.WhichOneof("request")
    assert name is not None
    assert type(request).decode(getattr(theirs, name).SerializeToString()) == request


@pytest.mark.parametrize("ours", [*envelope.REQUESTS, *envelope.RESPONSES.values()])
def test_every_message_has_googles_fields(ours: type[Message]) -> None:
    theirs: type[GoogleMessage] = getattr(instance_pb2, ours.__name__)
    expected = {
        (field.number, field.name, field.has_presence) for field in theirs.DESCRIPTOR.fields
    }

    assert set(fields_of(ours)) == expected


def fields_of(ours: type[Message]) -> typing.Iterator[tuple[int, str, bool]]:
    """Give number, name and presence of each field a message declares."""
    for name, field in ours.__dataclass_fields__.items():
        if "protobuf" in field.metadata:
            yield field.metadata["protobuf"].number, name, field.default is None


@pytest.mark.parametrize("way", ["request", "response"])
def test_the_oneofs_have_googles_numbers(way: str) -> None:
    theirs = getattr(instance_pb2, f"Rpc{way.capitalize()}").DESCRIPTOR.oneofs_by_name[way].fields
    expected = {field.number: field.message_type.name for field in theirs}

    requests = {number: message for message, number in envelope.REQUESTS.items()}
    requests[envelope.CHECKPOINT_AFTER] = messages.CheckpointRequest
    requests[envelope.SAVE_TOGETHER] = messages.CheckpointRequest
    ours = {"request": requests, "response": envelope.RESPONSES}
    assert {number: message.__name__ for number, message in ours[way].items()} == expected


def test_a_response_with_nothing_known_is_refused() -> None:
    with pytest.raises(NotProtobufError):
        envelope.unwrap(protobuf.encode([(900, b"")]))
