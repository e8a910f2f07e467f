import importlib.util
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from runtara_protocol.pb import instance_pb2 as pb

PACKAGE = Path(__file__).parents[2] / "packages" / "runtara-protocol"

# number name type, as other languages know them; `opt`: explicit presence.
MESSAGES = {
    "RegisterInstanceRequest": """1 instance_id string, 2 tenant_id string,
        3 checkpoint_id opt string, 100 continue_run opt uint64,
        101 workflow opt string, 102 code_version opt string, 103 launch_id opt string,
        104 look bool""",
    "RegisterInstanceResponse": """1 success bool, 2 error string, 100 run opt uint64,
        101 code opt string, 102 input opt bytes,
        103 checkpoints opt ListCheckpointsResponse, 104 pending_signal opt Signal,
        105 knows_preceding bool, 106 knows_together bool, 107 knows_children bool""",
    "CheckpointRequest": """1 instance_id string, 2 checkpoint_id string, 3 state bytes,
        100 preceding opt PrecedingCheckpoint,
        101 more_preceding repeated PrecedingCheckpoint""",
    "PrecedingCheckpoint": "1 checkpoint_id string, 2 state bytes",
    "CheckpointResponse": """1 found bool, 2 state bytes, 3 pending_signal opt Signal,
        4 custom_signal opt CustomSignal""",
    "GetCheckpointRequest": "1 instance_id string, 2 checkpoint_id string",
    "GetCheckpointResponse": "1 found bool, 2 state bytes",
    "SleepRequest": """1 instance_id string, 2 duration_ms uint64, 3 checkpoint_id string,
        4 state bytes, 100 keep_running bool, 101 detach bool, 102 waits opt string""",
    "SleepResponse": "",
    "InstanceEvent": """1 instance_id string, 2 event_type InstanceEventType,
        3 checkpoint_id opt string, 4 payload bytes, 5 timestamp_ms int64, 6 subtype opt string,
        100 blocked_reason opt string, 101 waits opt string, 102 failure opt bytes,
        103 progress opt bytes, 104 exit_code opt uint32""",
    "InstanceEventResponse": "1 success bool, 2 error opt string, 100 launch_closed bool",
    "InstanceEventBatch": "1 events repeated InstanceEvent",
    "RetryAttemptEvent": """1 instance_id string, 2 checkpoint_id string, 3 attempt_number uint32,
        4 timestamp_ms int64, 5 error_message opt string""",
    "Signal": "1 instance_id string, 2 signal_type SignalType, 3 payload bytes",
    "CustomSignal": "1 checkpoint_id string, 2 payload bytes",
    "SignalAck": "1 instance_id string, 2 signal_type SignalType, 3 acknowledged bool",
    "PollSignalsRequest": """1 instance_id string, 2 checkpoint_id opt string,
        100 wait_ms opt uint32, 101 more_checkpoint_ids repeated string""",
    "PollSignalsResponse": """1 signal opt Signal, 2 custom_signal opt CustomSignal,
        100 custom_signals repeated CustomSignal, 101 knows_more bool""",
    "GetInstanceStatusRequest": "1 instance_id string",
    "GetInstanceStatusResponse": """1 instance_id string, 2 status InstanceStatus,
        3 checkpoint_id opt string, 4 started_at_ms int64, 5 finished_at_ms opt int64,
        6 output opt bytes, 7 error opt string""",
    "StartChildRequest": """1 instance_id string, 2 child_id string, 3 workflow string,
        4 input opt bytes, 5 is_successor bool""",
    "StartChildResponse": "1 created bool",
    "StartChildrenRequest": """1 instance_id string, 2 children repeated ChildToStart,
        3 checkpoints repeated PrecedingCheckpoint""",
    "ChildToStart": "1 child_id string, 2 workflow string, 3 input opt bytes",
    "StartChildrenResponse": """1 children repeated StartChildResponse,
        2 checkpoints repeated StoredCheckpoint, 3 pending_signal opt Signal""",
    "StoredCheckpoint": "1 found bool, 2 state opt bytes",
    "CancelChildRequest": "1 instance_id string, 2 child_id string",
    "CancelChildResponse": "1 sent bool",
    "RpcError": "1 code string, 2 message string",
    "ListCheckpointsRequest": "1 instance_id string, 2 after_id int64, 3 limit uint32",
    "ListCheckpointsResponse": "1 checkpoints repeated CheckpointEntry, 2 next_id opt int64",
    "CheckpointEntry": """1 checkpoint_id string, 2 state opt bytes, 3 created_at_ms int64,
        4 failed_attempts uint32, 5 last_attempt_ms opt int64, 6 wake_at_ms opt int64""",
    "RpcRequest": """1 register_instance RegisterInstanceRequest, 4 sleep SleepRequest,
        5 instance_event InstanceEvent, 6 instance_event_batch InstanceEventBatch,
        7 get_instance_status GetInstanceStatusRequest, 8 checkpoint CheckpointRequest,
        9 get_checkpoint GetCheckpointRequest, 10 poll_signals PollSignalsRequest,
        11 signal_ack SignalAck, 12 retry_attempt RetryAttemptEvent,
        100 list_checkpoints ListCheckpointsRequest, 101 start_child StartChildRequest,
        102 cancel_child CancelChildRequest, 103 checkpoint_after CheckpointRequest,
        104 save_together CheckpointRequest, 105 start_children StartChildrenRequest""",
    "RpcResponse": """1 register_instance RegisterInstanceResponse, 4 sleep SleepResponse,
        5 instance_event InstanceEventResponse, 7 get_instance_status GetInstanceStatusResponse,
        8 checkpoint CheckpointResponse, 9 get_checkpoint GetCheckpointResponse,
        10 poll_signals PollSignalsResponse, 15 error RpcError,
        100 list_checkpoints ListCheckpointsResponse, 101 start_child StartChildResponse,
        102 cancel_child CancelChildResponse, 105 start_children StartChildrenResponse""",
}
ENUMS = {
    "InstanceEventType": {
        "EVENT_HEARTBEAT": 0,
        "EVENT_COMPLETED": 2,
        "EVENT_FAILED": 3,
        "EVENT_SUSPENDED": 4,
        "EVENT_CUSTOM": 5,
    },
    "SignalType": {"SIGNAL_CANCEL": 0, "SIGNAL_PAUSE": 1, "SIGNAL_RESUME": 2},
    "InstanceStatus": {
        "STATUS_UNKNOWN": 0,
        "STATUS_PENDING": 1,
        "STATUS_RUNNING": 2,
        "STATUS_SUSPENDED": 3,
        "STATUS_COMPLETED": 4,
        "STATUS_FAILED": 5,
        "STATUS_CANCELLED": 6,
    },
}
ONEOFS = {"RpcRequest": "request", "RpcResponse": "response"}
SCALARS = {
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
}


def _described(message: Descriptor) -> str:
    return ", ".join(_field(field) for field in message.fields)


def _field(field: FieldDescriptor) -> str:
    named = field.message_type or field.enum_type
    kind = named.name if named is not None else SCALARS[field.type]
    is_optional = field.containing_oneof is not None and field.containing_oneof.name.startswith("_")
    label = "repeated " if field.is_repeated else "opt " if is_optional else ""
    return f"{field.number} {field.name} {label}{kind}"


def test_every_message_is_the_table() -> None:
    """Numbers, names, types and presence are those other languages speak, and ours from 100 up."""
    described = {
        name: _described(message) for name, message in pb.DESCRIPTOR.message_types_by_name.items()
    }

    assert described == {name: " ".join(fields.split()) for name, fields in MESSAGES.items()}
    assert pb.DESCRIPTOR.package == "runtara.instance"


def test_requests_and_responses_are_oneofs() -> None:
    """Every field of the two envelopes is in their one oneof."""
    for name, oneof in ONEOFS.items():
        message = pb.DESCRIPTOR.message_types_by_name[name]

        assert [one.name for one in message.oneofs] == [oneof]
        assert list(message.oneofs[0].fields) == list(message.fields)


def test_every_enum_is_the_table() -> None:
    """No number is added, moved or used again."""
    described = {
        name: {value.name: value.number for value in enum.values}
        for name, enum in pb.DESCRIPTOR.enum_types_by_name.items()
    }

    assert described == ENUMS


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (
            pb.RpcRequest(
                checkpoint=pb.CheckpointRequest(instance_id="i", checkpoint_id="c", state=b"\0\xff")
            ),
            "420a0a01691201631a0200ff",
        ),
        (
            pb.RpcRequest(
                register_instance=pb.RegisterInstanceRequest(
                    instance_id="i", tenant_id="t", continue_run=3
                )
            ),
            "0a090a0169120174a00603",
        ),
        (
            pb.RpcRequest(
                instance_event=pb.InstanceEvent(
                    instance_id="i", event_type=pb.EVENT_CUSTOM, timestamp_ms=1, subtype="s"
                )
            ),
            "2a0a0a016910052801320173",
        ),
        (pb.RpcResponse(error=pb.RpcError(code="A", message="b")), "7a060a0141120162"),
        (pb.RpcResponse(checkpoint=pb.CheckpointResponse(found=True)), "42020801"),
        (pb.RpcResponse(sleep=pb.SleepResponse()), "2200"),
        (
            pb.RpcResponse(list_checkpoints=pb.ListCheckpointsResponse(next_id=7)),
            "a206021007",
        ),
        (
            pb.RpcRequest(
                instance_event=pb.InstanceEvent(
                    instance_id="i", event_type=pb.EVENT_SUSPENDED, blocked_reason="b", waits="w"
                )
            ),
            "2a0d0a01691004a2060162aa060177",
        ),
        (
            pb.RpcRequest(
                start_child=pb.StartChildRequest(
                    instance_id="i", child_id="c", workflow="w", input=b""
                )
            ),
            "aa060b0a01691201631a01772200",
        ),
        (
            pb.RpcRequest(
                start_child=pb.StartChildRequest(
                    instance_id="i", child_id="c", workflow="w", is_successor=True
                )
            ),
            "aa060b0a01691201631a01772801",
        ),
        (
            pb.RpcRequest(
                instance_event=pb.InstanceEvent(
                    instance_id="i", event_type=pb.EVENT_HEARTBEAT, progress=b"p"
                )
            ),
            "2a070a0169ba060170",
        ),
        (
            pb.RpcRequest(cancel_child=pb.CancelChildRequest(instance_id="i", child_id="c")),
            "b206060a0169120163",
        ),
        (
            pb.RpcRequest(
                instance_event=pb.InstanceEvent(
                    instance_id="i", event_type=pb.EVENT_FAILED, failure=b"f"
                )
            ),
            "2a090a01691003b2060166",
        ),
    ],
)
def test_a_message_is_these_bytes(message: pb.RpcRequest | pb.RpcResponse, wire: str) -> None:
    """What goes over the wire was written down by hand, not taken from a run."""
    assert message.SerializeToString(deterministic=True).hex() == wire
    assert type(message).FromString(bytes.fromhex(wire)) == message


def test_an_unlisted_number_arrives_as_itself() -> None:
    """An open enum never turns an unknown number into its first value."""
    ack = pb.SignalAck.FromString(bytes.fromhex("1063"))

    assert ack.signal_type == 99


def test_generating_again_changes_nothing(tmp_path: Path) -> None:
    """What is checked in is what the proto file says."""
    spec = importlib.util.spec_from_file_location("generate", PACKAGE / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    script.generate(tmp_path)

    place = Path("runtara_protocol") / "pb"
    generated = {path.name: path.read_bytes() for path in (tmp_path / place).iterdir()}
    assert {"instance_pb2.py", "environment_pb2.py"} <= generated.keys()
    for name, content in generated.items():
        assert content == (PACKAGE / "src" / place / name).read_bytes()
