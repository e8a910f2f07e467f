from typing import Never

import pytest
from tests.support.clock import START

from runtara_domain.error import CoreError, InstanceNotFound
from runtara_domain.model import Checkpoint
from runtara_domain.ports.transport import Request
from runtara_domain.sessions import InstanceSlots, Session
from runtara_protocol.frame import MAX_PAYLOAD
from runtara_protocol.pb import instance_pb2 as pb
from runtara_protocol.server.router import MalformedRequest
from runtara_server.operations import OPERATIONS, router

REGISTER = pb.RpcRequest(
    register_instance=pb.RegisterInstanceRequest(instance_id="i-1", tenant_id="t-1")
)
REQUESTS = [
    pb.RpcRequest(
        checkpoint=pb.CheckpointRequest(instance_id="i-1", checkpoint_id="c-1", state=b"one")
    ),
    pb.RpcRequest(get_checkpoint=pb.GetCheckpointRequest(instance_id="i-1", checkpoint_id="c-1")),
    pb.RpcRequest(get_instance_status=pb.GetInstanceStatusRequest(instance_id="i-1")),
    pb.RpcRequest(instance_event=pb.InstanceEvent(instance_id="i-1", event_type=pb.EVENT_CUSTOM)),
    pb.RpcRequest(
        instance_event=pb.InstanceEvent(instance_id="i-1", event_type=pb.EVENT_HEARTBEAT)
    ),
    pb.RpcRequest(instance_event_batch=pb.InstanceEventBatch()),
    pb.RpcRequest(list_checkpoints=pb.ListCheckpointsRequest(instance_id="i-1")),
    pb.RpcRequest(start_child=pb.StartChildRequest(instance_id="i-1", child_id="c", workflow="w")),
    pb.RpcRequest(
        start_children=pb.StartChildrenRequest(
            instance_id="i-1", children=[pb.ChildToStart(child_id="c", workflow="w")]
        )
    ),
    pb.RpcRequest(cancel_child=pb.CancelChildRequest(instance_id="i-1", child_id="c")),
    pb.RpcRequest(sleep=pb.SleepRequest(instance_id="i-1", checkpoint_id="c-1")),
    pb.RpcRequest(poll_signals=pb.PollSignalsRequest(instance_id="i-1")),
    pb.RpcRequest(signal_ack=pb.SignalAck(instance_id="i-1")),
    pb.RpcRequest(
        retry_attempt=pb.RetryAttemptEvent(instance_id="i-1", checkpoint_id="c-1", attempt_number=1)
    ),
]


class FailingOperations:
    """A core that fails at everything, always in the same way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def open_session(self) -> Session:
        return InstanceSlots(1).open_session()

    async def register_instance(self, **_: object) -> Never:
        raise self._error

    async def get_instance_status(self, **_: object) -> Never:
        raise self._error

    async def start_child(self, **_: object) -> Never:
        raise self._error

    async def start_children(self, **_: object) -> Never:
        raise self._error

    async def cancel_child(self, **_: object) -> Never:
        raise self._error

    async def save_checkpoint(self, **_: object) -> Never:
        raise self._error

    async def get_checkpoint(self, **_: object) -> Checkpoint | None:
        raise self._error

    async def record_event(self, **_: object) -> Never:
        raise self._error

    async def heartbeat(self, **_: object) -> Never:
        raise self._error

    async def list_checkpoints(self, **_: object) -> Never:
        raise self._error

    async def record_retry_attempt(self, **_: object) -> Never:
        raise self._error

    async def sleep(self, **_: object) -> Never:
        raise self._error

    async def record_events(self, **_: object) -> Never:
        raise self._error

    async def poll_signals(self, **_: object) -> Never:
        raise self._error

    async def acknowledge_signal(self, **_: object) -> Never:
        raise self._error


class HugeOperations(FailingOperations):
    """A core with a checkpoint that another program stored, larger than ours may be."""

    async def get_checkpoint(self, **_: object) -> Checkpoint | None:
        return Checkpoint("c-1", bytes(MAX_PAYLOAD), START)


async def answer(
    request: pb.RpcRequest | bytes, error: Exception, *, is_ending: bool = False
) -> pb.RpcResponse:
    """Ask a core that fails so."""
    core = FailingOperations(error)
    asked = router(core)
    if is_ending:
        asked.end()
    payload = request if isinstance(request, bytes) else request.SerializeToString()
    response = await asked.answer(Request(core.open_session()), payload)
    assert response is not None
    return pb.RpcResponse.FromString(response)


def told_of(error: CoreError) -> str:
    """Return the answer to the client, which has none of the database's own words."""
    if error.code != "DATABASE_ERROR":
        return str(error)
    return (
        "The database failed or did not answer, and whether anything was stored is unknown: repeat"
        " the request; the server's log has the reason"
    )


def name_of(request: pb.RpcRequest) -> str:
    return request.WhichOneof("request") or "empty"


@pytest.mark.parametrize("kind", CoreError.__subclasses__(), ids=lambda kind: kind.code)
@pytest.mark.parametrize("request_", REQUESTS, ids=name_of)
async def test_a_refusal_is_an_error_with_its_code_and_message(
    kind: type[CoreError], request_: pb.RpcRequest
) -> None:
    error = kind("the reason")

    response = await answer(request_, error)

    assert response.WhichOneof("response") == "error"
    assert (response.error.code, response.error.message) == (kind.code, told_of(error))


@pytest.mark.parametrize("kind", CoreError.__subclasses__(), ids=lambda kind: kind.code)
async def test_registering_reports_its_refusal_in_its_own_response(kind: type[CoreError]) -> None:
    error = kind("the reason")

    response = await answer(REGISTER, error)

    assert response.WhichOneof("response") == "register_instance"
    registered = response.register_instance
    assert (registered.success, registered.error) == (False, told_of(error))
    assert registered.code == kind.code
    assert not registered.HasField("run")


def test_the_codes_are_those_of_the_protocol() -> None:
    # An environment has refusals of its own, and shares the one of a missing image with the domain.
    ours = [one for one in CoreError.__subclasses__() if one.__module__ == CoreError.__module__]
    codes = {kind.code for kind in ours} | {CoreError.code}

    assert codes <= {
        "EMPTY_REQUEST",
        "VALIDATION_ERROR",
        "INSTANCE_NOT_FOUND",
        "IMAGE_NOT_FOUND",
        "INSTANCE_ALREADY_EXISTS",
        "INVALID_INSTANCE_STATE",
        "CHECKPOINT_NOT_FOUND",
        "CHECKPOINT_SAVE_FAILED",
        "SIGNAL_DELIVERY_FAILED",
        "DATABASE_ERROR",
        "INSTANCE_SUPERSEDED",
        "TOO_MANY_INSTANCES",
        "SHUTTING_DOWN",
        "OVERLOADED",
        "INTERNAL_ERROR",
    }


@pytest.mark.parametrize(
    "payload", [b"", b"\x9a\x06\x00", b"\x9a\x06\x03abc"], ids=["nothing", "from 99", "more of it"]
)
async def test_a_request_with_nothing_known_in_it_is_empty(payload: bytes) -> None:
    response = await answer(payload, InstanceNotFound("never asked"))

    assert response.error.code == "EMPTY_REQUEST"


async def test_what_is_not_offered_yet_is_empty_too() -> None:
    for field in pb.RpcRequest.DESCRIPTOR.oneofs_by_name["request"].fields:
        request = pb.RpcRequest()
        getattr(request, field.name).SetInParent()

        response = await answer(request, InstanceNotFound("i-1"))

        assert (response.error.code == "EMPTY_REQUEST") is (field.name not in OPERATIONS.handlers)


@pytest.mark.parametrize("payload", [b"\xff", b"\x0a\x7f", b"\x42\x03\x0a\x01\xff"])
async def test_bytes_that_are_no_request_are_not_answered(payload: bytes) -> None:
    """A broken varint, a length beyond the end, an id that is not UTF-8."""
    with pytest.raises(MalformedRequest):
        await answer(payload, InstanceNotFound("never asked"))


@pytest.mark.parametrize("request_", [REGISTER, *REQUESTS], ids=name_of)
async def test_a_bug_is_logged_with_its_traceback_and_not_sent_to_the_client(
    request_: pb.RpcRequest, caplog: pytest.LogCaptureFixture
) -> None:
    response = await answer(request_, ZeroDivisionError("a secret of ours"))

    refusal = response.register_instance if request_ is REGISTER else response.error
    assert refusal.code == "INTERNAL_ERROR"
    assert b"secret" not in response.SerializeToString()
    assert b"ZeroDivision" not in response.SerializeToString()
    [record] = caplog.records
    assert (record.getMessage(), vars(record)["operation"]) == ("request failed", name_of(request_))
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


async def test_an_answer_that_fits_no_frame_is_an_error_that_says_so() -> None:
    core = HugeOperations(AssertionError("nothing else is asked"))
    request = pb.RpcRequest(
        get_checkpoint=pb.GetCheckpointRequest(instance_id="i-1", checkpoint_id="c-1")
    )

    payload = await router(core).answer(Request(core.open_session()), request.SerializeToString())

    assert payload is not None
    assert f"at most {MAX_PAYLOAD}" in pb.RpcResponse.FromString(payload).error.message


async def test_a_database_error_is_in_the_log_and_sent_to_no_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    [kind] = [kind for kind in CoreError.__subclasses__() if kind.code == "DATABASE_ERROR"]

    response = await answer(REQUESTS[0], kind("the disk is full"))

    assert response is not None
    assert "disk" not in response.error.message
    assert "log" in response.error.message
    assert [(record.levelname, vars(record)["reason"]) for record in caplog.records] == [
        ("ERROR", "the disk is full")
    ]


@pytest.mark.parametrize("request_", [REGISTER, *REQUESTS], ids=name_of)
async def test_when_it_ends_whatever_is_new_is_refused(request_: pb.RpcRequest) -> None:
    response = await answer(request_, InstanceNotFound("never asked"), is_ending=True)

    refusal = response.register_instance if request_ is REGISTER else response.error
    assert refusal.code == "SHUTTING_DOWN"
