"""Room for an answer is looked for again when it is known how large it is."""

from collections.abc import Callable, Iterator

import pytest
from tests.domain.desk import ID, Desk
from tests.support.clock import START, FrozenClock

from runtara_domain.model import CustomSignal, Registration
from runtara_domain.ports.transport import Request
from runtara_domain.sessions import Session
from runtara_domain.status import OPEN
from runtara_domain.use_cases.core import Core
from runtara_persistence.memory.persistence import MemoryPersistence
from runtara_protocol.pb import instance_pb2 as pb
from runtara_server.operations import router

LARGE, MEDIUM, SMALL = bytes(64 * 1024 + 1), bytes(64 * 1024), b"small"


def checkpoint(name: str, state: bytes = b"") -> pb.RpcRequest:
    message = pb.CheckpointRequest(instance_id=ID, checkpoint_id=name, state=state)
    return pb.RpcRequest(checkpoint=message)


def poll(name: str) -> pb.RpcRequest:
    return pb.RpcRequest(poll_signals=pb.PollSignalsRequest(instance_id=ID, checkpoint_id=name))


def from_the_second_look() -> Callable[[], bool]:
    """Say that there is room, and no more of it when asked again."""
    looks: Iterator[bool] = iter([False])
    return lambda: next(looks, True)


class Asked:
    """A core with a running instance, asked over one session."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._router = router(core)
        self.session: Session = core.open_session()

    async def begin(self) -> None:
        await self._core.register_instance(
            session=self.session, registration=Registration(ID, "t-1")
        )

    async def ask(
        self, request: pb.RpcRequest, is_overloaded: Callable[[], bool] = lambda: False
    ) -> pb.RpcResponse:
        payload = await self._router.answer(
            Request(self.session), request.SerializeToString(), is_overloaded=is_overloaded
        )
        assert payload is not None
        return pb.RpcResponse.FromString(payload)


async def begun(persistence: MemoryPersistence) -> Asked:
    asked = Asked(Desk(persistence, FrozenClock()).core())
    await asked.begin()
    return asked


@pytest.mark.parametrize("state", [LARGE, MEDIUM], ids=["large", "medium"])
async def test_a_state_found_while_there_is_no_room_is_asked_for_again(state: bytes) -> None:
    """Many requests may have come while there was room for each of them."""
    async with MemoryPersistence() as persistence:
        asked = await begun(persistence)
        await asked.ask(checkpoint("c", state))

        refused = await asked.ask(checkpoint("c"), from_the_second_look())
        found = await asked.ask(checkpoint("c"))

    assert refused.error.code == "OVERLOADED"
    assert (found.checkpoint.found, found.checkpoint.state) == (True, state)


async def test_a_large_signal_is_asked_for_again_too() -> None:
    """It stays until it is acknowledged, or for ever."""
    async with MemoryPersistence() as persistence:
        asked = await begun(persistence)
        signal = CustomSignal("c", MEDIUM)
        await persistence.signals.send_custom(ID, signal, when=OPEN, at=START)

        refused = await asked.ask(poll("c"), from_the_second_look())
        told = await asked.ask(poll("c"))

    assert refused.error.code == "OVERLOADED"
    assert told.poll_signals.custom_signal.payload == MEDIUM


async def test_what_was_done_is_answered_whatever_waits() -> None:
    """Saved is saved; and a small answer is no more than its refusal."""
    async with MemoryPersistence() as persistence:
        asked = await begun(persistence)

        saved = await asked.ask(checkpoint("c", SMALL), from_the_second_look())
        found = await asked.ask(checkpoint("c"), from_the_second_look())

    assert saved == pb.RpcResponse(checkpoint=pb.CheckpointResponse(found=False))
    assert found.checkpoint.state == SMALL


async def test_a_large_state_whose_instance_was_deleted_meanwhile_is_not_found() -> None:
    async with MemoryPersistence() as persistence:
        asked = await begun(persistence)
        await asked.ask(checkpoint("c", LARGE))

        def forget() -> bool:
            persistence.store.checkpoints.clear()
            return False

        looks = iter([lambda: False])
        answer = await asked.ask(checkpoint("c"), lambda: next(looks, forget)())

    assert answer.error.code == "INSTANCE_NOT_FOUND"
