"""Requests worth mutating, and a server for them: what both kinds of fuzzing share."""

import asyncio

from tests.domain.desk import Desk
from tests.support.clock import FrozenClock

from runtara_domain.error import NoAnswer
from runtara_domain.ports.transport import Request
from runtara_domain.sessions import Session
from runtara_persistence.memory.persistence import MemoryPersistence
from runtara_protocol.frame import FrameDecoder, FrameError, MessageType
from runtara_protocol.pb import instance_pb2 as pb
from runtara_protocol.server.router import MalformedRequest
from runtara_server.operations import InstanceRouter, router

ID = "i-1"
EVENT = pb.InstanceEvent(instance_id=ID, event_type=pb.EVENT_CUSTOM, payload=b"x", subtype="word")
VALID = [
    request.SerializeToString()
    for request in (
        pb.RpcRequest(
            register_instance=pb.RegisterInstanceRequest(instance_id=ID, tenant_id="t-1")
        ),
        pb.RpcRequest(
            register_instance=pb.RegisterInstanceRequest(
                instance_id=ID, tenant_id="t-1", checkpoint_id="c-1", continue_run=1
            )
        ),
        pb.RpcRequest(
            checkpoint=pb.CheckpointRequest(instance_id=ID, checkpoint_id="c-1", state=b"state")
        ),
        pb.RpcRequest(
            checkpoint_after=pb.CheckpointRequest(
                instance_id=ID,
                checkpoint_id="c-2",
                state=b"state",
                preceding=pb.PrecedingCheckpoint(checkpoint_id="c-0", state=b"first"),
            )
        ),
        pb.RpcRequest(
            save_together=pb.CheckpointRequest(
                instance_id=ID,
                checkpoint_id="c-3",
                state=b"state",
                more_preceding=[pb.PrecedingCheckpoint(checkpoint_id="c-0", state=b"first")],
            )
        ),
        pb.RpcRequest(get_checkpoint=pb.GetCheckpointRequest(instance_id=ID, checkpoint_id="c-1")),
        pb.RpcRequest(list_checkpoints=pb.ListCheckpointsRequest(instance_id=ID, limit=10)),
        pb.RpcRequest(
            sleep=pb.SleepRequest(instance_id=ID, checkpoint_id="nap", duration_ms=1, state=b"x")
        ),
        pb.RpcRequest(
            start_child=pb.StartChildRequest(instance_id=ID, child_id="k", workflow="w", input=b"x")
        ),
        pb.RpcRequest(
            start_children=pb.StartChildrenRequest(
                instance_id=ID,
                children=[pb.ChildToStart(child_id=one, workflow="w", input=b"x") for one in "kl"],
                checkpoints=[pb.PrecedingCheckpoint(checkpoint_id="k!started", state=b"1")],
            )
        ),
        pb.RpcRequest(instance_event=EVENT),
        pb.RpcRequest(instance_event_batch=pb.InstanceEventBatch(events=[EVENT, EVENT])),
        pb.RpcRequest(get_instance_status=pb.GetInstanceStatusRequest(instance_id=ID)),
        pb.RpcRequest(
            poll_signals=pb.PollSignalsRequest(instance_id=ID, checkpoint_id="c-1", wait_ms=1)
        ),
        pb.RpcRequest(
            poll_signals=pb.PollSignalsRequest(instance_id=ID, more_checkpoint_ids=["c-2", "c-3"])
        ),
        pb.RpcRequest(
            signal_ack=pb.SignalAck(instance_id=ID, signal_type=pb.SIGNAL_PAUSE, acknowledged=True)
        ),
        pb.RpcRequest(
            retry_attempt=pb.RetryAttemptEvent(
                instance_id=ID, checkpoint_id="c-1", attempt_number=1, error_message="no"
            )
        ),
    )
]
INTERNAL = "INTERNAL_ERROR"


async def answer_all(payloads: list[bytes]) -> list[pb.RpcResponse | None]:
    """
    Give what a new core answers to each in turn; None: no answer, or not a request.

    It is ending, so that nothing waits.
    """
    async with MemoryPersistence() as persistence:
        core = Desk(persistence, FrozenClock()).core()
        asked = router(core)
        session = core.open_session()
        await asked.answer(Request(session), VALID[0])
        core.sleep.waits.end()
        return [await _answer(asked, core.open_session(), payload) for payload in payloads]


async def _answer(
    router: InstanceRouter, session: Session, payload: bytes
) -> pb.RpcResponse | None:
    try:
        answer = await router.answer(Request(session), payload)
    except (MalformedRequest, NoAnswer):
        return None
    return None if answer is None else pb.RpcResponse.FromString(answer)


def answers(*payloads: bytes) -> list[pb.RpcResponse | None]:
    """Do the same in an event loop of its own."""
    return asyncio.run(answer_all(list(payloads)))


def is_bug(response: pb.RpcResponse | None) -> bool:
    """Whether the answer says that the server failed."""
    if response is None:
        return False
    return INTERNAL in (response.error.code, response.register_instance.code)


def decoded(pieces: list[bytes]) -> bytes | None:
    """Feed a decoder piece by piece; give the payload, None if these bytes are no frame."""
    decoder = FrameDecoder(accept=frozenset({MessageType.REQUEST}))
    payloads: list[bytes] = []
    try:
        for piece in pieces:
            payload = decoder.feed(piece)
            if payload is not None:
                payloads.append(payload)
        decoder.end()
    except FrameError:
        assert payloads == []
        return None
    [payload] = payloads
    return payload
