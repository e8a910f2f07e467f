"""One step of a port, to be taken by an adapter and by the reference."""

from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from tests.model.reference import Reference

from runtara_domain.model import CheckpointPage
from runtara_domain.ports.persistence import Persistence


@dataclass(frozen=True)
class Step:
    """
    A call of noun.method.

    among: the only instances that the reference finds, if given.
    forgets_before: its outcome is compared without the state it found.
    """

    noun: str
    method: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    among: Collection[str] | None = None
    forgets_before: bool = False

    async def ask(self, persistence: Persistence) -> object:
        port = getattr(persistence, self.noun)
        outcome: object = await getattr(port, self.method)(*self.arguments, **self.options)
        return outcome

    async def expect(self, model: Reference) -> object:
        with nullcontext() if self.among is None else model.showing(self.among):
            outcome: Any = await self.ask(model.persistence)
        return replace(outcome, before=None) if self.forgets_before else outcome

    def beside_others(self, outcome: Any) -> tuple["Step", object]:
        """
        Give step and outcome as PostgreSQL may have them beside other steps of the same instances.

        Those that another has in hand are left out: which, the outcome says; of a claim, only what
        it got. A signal that another step could not see yet counts as sent after it, though it
        was put in, by the state it found, before.
        """
        match self.method, self.arguments:
            case "mark_active", (callers,):
                kept = [caller for caller in callers if caller.instance_id not in outcome]
                return replace(self, arguments=(kept,)), set()
            case "release", (token, names):
                return replace(self, arguments=(token, set(names) - outcome)), set()
            case "renew", (claim, held):
                told = {one: moment for one, moment in held.items() if one.instance_id in outcome}
                return replace(self, arguments=(claim, told)), outcome
            case "claim_due", _:
                return replace(self, among={one.instance_id for one in outcome}), outcome
            case "send" | "send_custom", _:
                return replace(self, forgets_before=True), replace(outcome, before=None)
        return self, outcome


@dataclass(frozen=True)
class Listing(Step):
    """A whole list, read in pages of `limit`; the reference reads it in one."""

    limit: int = 100

    async def ask(self, persistence: Persistence) -> object:
        read = getattr(getattr(persistence, self.noun), self.method)
        found: list[Any] = []
        more: dict[str, Any] = {}
        while True:
            page = await read(*self.arguments, limit=self.limit, **more)
            entries = list(page.entries if isinstance(page, CheckpointPage) else page)
            found += entries
            is_last = page.next_id is None if isinstance(page, CheckpointPage) else not entries
            if is_last:
                return self._without_ids(found)
            behind = found[-1]
            more = {"after": behind} if self.noun == "instances" else {"after_id": behind.id}

    async def expect(self, model: Reference) -> object:
        return await replace(self, limit=1000).ask(model.persistence)

    def _without_ids(self, found: list[Any]) -> list[Any]:
        if self.noun == "instances":
            return found
        ids = [one.id for one in found]
        assert ids == sorted(set(ids)), "ids grow in the order of a list"
        return [replace(one, id=0) for one in found]
