"""What no database could do is refused by every adapter alike, naming the field."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from tests.support.clock import START

from runtara_domain.error import InvalidValue
from runtara_domain.model import Caller, CheckpointFilter, Claim, EventFilter, InstanceFilter
from runtara_domain.model.limits import Scope
from runtara_domain.ports.persistence import Persistence

CLAIM = Claim("me", START + timedelta(seconds=1))
BEYOND = 2**31

Ask = Callable[[Persistence, int], Awaitable[object]]


@pytest.mark.parametrize(
    "ask",
    [
        lambda core, limit: core.instances.page(InstanceFilter(), limit=limit),
        lambda core, limit: core.instances.inactive_since(START, limit=limit),
        lambda core, limit: core.claims.claim_due(CLAIM, limit=limit, at=START),
        lambda core, limit: core.instances.prune(START, limit=limit),
        lambda core, limit: core.events.page(EventFilter("i"), limit=limit),
        lambda core, limit: core.checkpoints.page("i", limit=limit),
    ],
    ids=["instances", "silent", "due", "prune", "events", "checkpoints"],
)
@pytest.mark.parametrize("limit", [-1, BEYOND])
async def test_a_limit_that_is_no_count_is_refused(
    persistence: Persistence, ask: Ask, limit: int
) -> None:
    with pytest.raises(InvalidValue, match=f"limit: takes . to 2147483647, got {limit}"):
        await ask(persistence, limit)


async def test_of_what_is_due_none_may_be_wanted(persistence: Persistence) -> None:
    """A caller without room asks for none."""
    assert await persistence.claims.claim_due(CLAIM, limit=0, at=START) == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda core, after: core.events.page(EventFilter("i"), after_id=after),
        lambda core, after: core.checkpoints.page("i", after_id=after),
    ],
    ids=["events", "checkpoints"],
)
@pytest.mark.parametrize("after_id", [-1, 2**63])
async def test_a_place_that_is_no_id_is_refused(
    persistence: Persistence, ask: Ask, after_id: int
) -> None:
    with pytest.raises(InvalidValue, match="after_id: takes 0 to"):
        await ask(persistence, after_id)


@pytest.mark.parametrize(
    "ask",
    [
        lambda core, text: core.instances.get(text),
        lambda core, text: core.instances.input(text),
        lambda core, text: core.instances.count(InstanceFilter(tenant_id=text)),
        lambda core, text: core.checkpoints.page(text),
        lambda core, text: core.checkpoints.count(CheckpointFilter(text)),
        lambda core, text: core.events.page(EventFilter(text)),
        lambda core, text: core.events.count(EventFilter("i", subtype=text)),
        lambda core, text: core.limits.remove(Scope.QUEUE, "t", text),
        lambda core, text: core.limits.release(Scope.QUEUE, text, "q"),
        lambda core, text: core.images.discard(text),
        lambda core, text: core.images.chunk(text, 0),
        lambda core, text: core.images.delete(text, "t", at=START),
        lambda core, text: core.images.set_problem(text, None),
        lambda core, text: core.environments.renew(text, ttl=timedelta(0)),
        lambda core, text: core.environments.drain(text, draining=True),
        lambda core, text: core.environments.leave(text),
        lambda core, text: core.environments.close(text),
    ],
    ids=[
        *("get", "input", "tenant", "checkpoints", "checkpoint count", "events", "subtype"),
        *("limit", "hold", "upload", "image's bytes", "image", "image's problem"),
        *("lease", "drain", "leave", "end of a lease"),
    ],
)
@pytest.mark.parametrize("text", ["a\0b", "\ud800"], ids=["NUL", "surrogate"])
async def test_a_text_that_no_row_can_hold_is_refused(
    persistence: Persistence, ask: Callable[[Persistence, str], Awaitable[object]], text: str
) -> None:
    with pytest.raises(InvalidValue, match=r"^[a-z_]+: takes (text without NUL|UTF-8)"):
        await ask(persistence, text)


async def test_a_payload_is_searched_for_nul_but_for_no_surrogate(persistence: Persistence) -> None:
    assert await persistence.events.count(EventFilter("i", text="\0")) == 0

    with pytest.raises(InvalidValue, match="text: takes UTF-8"):
        EventFilter("i", text="\ud800")


@pytest.mark.parametrize("run", [-1, 2**63])
def test_a_run_that_cannot_be_is_refused(run: int) -> None:
    with pytest.raises(InvalidValue, match="run: takes 0 to"):
        Caller("i", run)
