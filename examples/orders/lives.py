"""The import's lives: each is followed until it is killed as planned, or has done its work."""

import asyncio
import json
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kill_plan import Kill, Moment, Victim
from processes import Process, ProcessFailed, Said, Stage

# For one life to say something: more than any wait in it, so that a hang is found.
SILENCE_S = 45


@dataclass(slots=True)
class Life:
    """What one life of the import did; order ids in the order it did them."""

    number: int
    replayed: list[str] = field(default_factory=list)
    charged: list[str] = field(default_factory=list)
    # Attempts to charge that reached the payment service, and those it had charged before.
    attempts: int = 0
    recognised: int = 0
    server_killed: list[Kill] = field(default_factory=list)
    killed: Kill | None = None
    seconds: float = 0.0


class Ordeal:
    """Runs the import again and again, killing by the plan, until a life of it gets to its end."""

    def __init__(
        self, stage: Stage, plan: Sequence[Kill], watch: Callable[[Life, Kill | None], None]
    ) -> None:
        self.lives: list[Life] = []
        self._stage = stage
        self._plan = list(plan)
        self._watch = watch
        self._server: Process | None = None

    async def run(self) -> None:
        """Run all lives; raises ProcessFailed when a process ends otherwise than planned."""
        self._server = await self._stage.start_server()
        while not self.lives or self.lives[-1].killed:
            await self._live()
        code = await self._server.end(signal.SIGTERM)
        if code != 0:
            raise self._server.failure(f"ended with {code} at a request to stop")

    async def _live(self) -> None:
        life = Life(len(self.lives) + 1)
        self.lives.append(life)
        self._watch(life, None)
        began = time.monotonic()
        process = await self._stage.start_import()
        while (said := await self._hear()) != Said("import", None):
            self._note(life, said)
            if self._plan and life.killed is None and _is_due(self._plan[0], said):
                await self._kill(self._plan.pop(0), life, process)
        code = await process.ended()
        life.seconds = time.monotonic() - began
        if code != 0 and not life.killed:
            raise process.failure(f"ended with {code}")

    async def _hear(self) -> Said:
        try:
            return await asyncio.wait_for(self._stage.said.get(), SILENCE_S)
        except TimeoutError as error:
            raise ProcessFailed(f"nothing happened for {SILENCE_S} s") from error

    def _note(self, life: Life, said: Said) -> None:
        match said.by, _word(said):
            case "import", "replayed":
                life.replayed.append(_order_id(said))
            case "import", "charged":
                life.charged.append(_order_id(said))
            case "payments", "asked":
                life.attempts += 1
            case "payments", "booked":
                life.recognised += not json.loads(said.line or "")["is_new"]
            case _:
                return
        self._watch(life, None)

    async def _kill(self, kill: Kill, life: Life, process: Process) -> None:
        """Kill the processes that the plan names; a killed server is back when this returns."""
        assert self._server is not None  # Started before the first life.
        if kill.victim is Victim.SERVER:
            life.server_killed.append(kill)
        else:
            life.killed = kill
        self._watch(life, kill)
        victims = {
            Victim.IMPORT: [process],
            Victim.SERVER: [self._server],
            Victim.BOTH: [process, self._server],
        }[kill.victim]
        codes = await asyncio.gather(*(victim.end(signal.SIGKILL) for victim in victims))
        for victim, code in zip(victims, codes, strict=True):
            if code != -signal.SIGKILL:
                raise victim.failure(f"ended with {code} before it was killed")
        if self._server in victims:
            self._server = await self._stage.start_server()


def _is_due(kill: Kill, said: Said) -> bool:
    """
    Tell whether this line says that the kill's moment has come.

    "replayed" will do for "charged": a life may be killed after a checkpoint and before its line.
    """
    words = {
        Moment.ASKED: {"asked"},
        Moment.CHARGED: {"booked"},
        Moment.SAVED: {"charged", "replayed"},
    }[kill.moment]
    return _word(said) in words and _order_id(said) == kill.order_id


def _word(said: Said) -> str:
    line = said.line or ""
    if said.by == "payments" and line:
        return str(json.loads(line)["event"])
    return line.split(" ")[0]


def _order_id(said: Said) -> str:
    line = said.line or ""
    if said.by == "payments":
        return str(json.loads(line)["order_id"])
    return line.split(" ")[1]
