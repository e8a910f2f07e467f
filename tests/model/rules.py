"""Every step of every port, as rules of a state machine."""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from tests.model.machine import ModelMachine
from tests.model.step import Listing, Step
from tests.model.values import (
    HOUR,
    SECOND,
    ages,
    checkpoints,
    chosen_events,
    chosen_instances,
    durations,
    endings,
    finals,
    keeps_running,
    kids,
    limits,
    mortals,
    names,
    payloads,
    reasons,
    small,
    spans,
    tenants,
    tokens,
    waits,
    workflows,
)

from runtara_domain.model import (
    Caller,
    CheckpointFilter,
    CheckpointWrite,
    Claim,
    CustomSignal,
    Ending,
    Event,
    EventFilter,
    EventStep,
    EventType,
    InstanceFilter,
    NewChild,
    NewChildren,
    NewInstance,
    Registration,
    Reopening,
    RetryAttempt,
    Signal,
    Sleep,
)
from runtara_domain.model.interventions import Deletion
from runtara_domain.status import (
    ANY,
    MOVES,
    OPEN,
    WORKING,
    Move,
    SignalType,
    State,
)


class PortsMachine(ModelMachine):
    """A rule for each method of the four ports, and for clocks, restarts and togetherness."""

    @precondition(lambda self: not self.is_gathering)
    @rule(count=st.integers(2, 4))
    def together(self, count: int) -> None:
        self.gather(count)

    @precondition(lambda self: not self.is_gathering)
    @rule()
    def close_and_open(self) -> None:
        self.restart()

    @rule(span=spans | st.just(-SECOND))
    def move_the_clock(self, span: timedelta) -> None:
        self.now += span

    @initialize()
    def begin(self) -> None:
        self.register_simply("b")
        self.register_simply("a")
        self.create("p", "t", b"given")

    # What would seldom come together by chance

    @rule(name=names, span=spans)
    def fall_asleep(self, name: str, span: timedelta) -> None:
        until = self.now + span
        sleep = Sleep(f"asleep until {until}", b"", span)
        claim = Claim("server", until)
        caller = self.caller(name, 0)
        self.step("checkpoints", "sleep", caller, sleep, when=WORKING, claim=claim, earliest=None)

    @rule(name=names, span=spans, checkpoint=checkpoints)
    def sleep_and_stir(self, name: str, span: timedelta, checkpoint: str) -> None:
        self.fall_asleep(name, span)
        self.save(name, 0, checkpoint, b"1")

    @rule(name=names, span=spans, checkpoint=checkpoints)
    def sleep_and_be_sent(self, name: str, span: timedelta, checkpoint: str) -> None:
        self.fall_asleep(name, span)
        self.send_custom(name, CustomSignal(checkpoint))

    @rule(name=names, type=st.sampled_from(SignalType), is_asleep=st.booleans())
    def tell_and_obey(self, name: str, type: SignalType, is_asleep: bool) -> None:
        if is_asleep:
            self.fall_asleep(name, HOUR)
        self.send(name, type, b"")
        self.acknowledge(name, 0, type)

    @rule(span=spans, token=tokens, limit=limits)
    def relaunch(self, span: timedelta, token: str, limit: int) -> None:
        self.now += span
        self.claim_due(token, SECOND, limit)

    @rule(name=names)
    def pause_and_resume(self, name: str) -> None:
        self.suspend(name, 0)
        self.send(name, SignalType.RESUME, b"")

    # Instances

    @rule(name=names, tenant=tenants, given=st.none() | small, workflow=st.none() | workflows)
    def create(
        self, name: str, tenant: str, given: bytes | None, workflow: str | None = None
    ) -> None:
        self.step("instances", "create", NewInstance(name, tenant, given, workflow))

    @rule(
        name=names | kids, age=ages, kid=kids | names, workflow=workflows, given=st.none() | small
    )
    def start_child(
        self, name: str, age: int | None, kid: str, workflow: str, given: bytes | None
    ) -> None:
        child = NewChild(kid, workflow, given)
        self.step("instances", "start_child", self.caller(name, age), child, when=WORKING)

    @rule(
        name=names | kids,
        age=ages,
        asked=st.lists(kids | names, min_size=1, max_size=3, unique=True),
        workflow=workflows,
        given=st.none() | small,
        saved=st.lists(checkpoints, max_size=2, unique=True),
        state=payloads,
    )
    def start_children(
        self,
        name: str,
        age: int | None,
        asked: list[str],
        workflow: str,
        given: bytes | None,
        saved: list[str],
        state: bytes,
    ) -> None:
        new = NewChildren(
            tuple(NewChild(kid, workflow, given) for kid in asked),
            tuple(CheckpointWrite(one, state) for one in saved),
        )
        self.step("instances", "start_children", self.caller(name, age), new, when=WORKING)

    @rule(
        name=names,
        kid=kids,
        is_asleep=st.booleans(),
        way=st.sampled_from(["end", "fail", "finish", "cancel", "obey", "suspend", "batch"]),
        ending=finals,
    )
    def bear_and_lose(self, name: str, kid: str, is_asleep: bool, way: str, ending: Ending) -> None:
        """Start a child, and have it end in some way, while its parent sleeps or not."""
        self.start_child(name, 0, kid, "orders", None)
        if is_asleep:
            self.fall_asleep(name, HOUR)
        if way != "cancel":
            self.register_simply(kid)
        match way:
            case "end":
                self.end(kid, 0, Ending(State.COMPLETED, output=b"1"))
            case "fail" | "batch":
                self.say_all([(name, 0, "c"), (kid, 0, "f")])
            case "finish":
                self.finish(kid, 0, ending)
            case "obey":
                self.tell_and_obey(kid, SignalType.CANCEL, False)
            case "cancel" | "suspend":
                self.send(kid, SignalType.CANCEL, b"")
                self.suspend(kid, 0)

    @rule()
    def look_ahead(self) -> None:
        self.step("claims", "next_due")

    @rule(
        name=names,
        tenant=tenants,
        checkpoint=st.none() | checkpoints,
        age=st.none() | ages,
        runs=st.tuples(st.none() | workflows, st.sampled_from([None, "1", "2"])),
        launch=st.sampled_from([None, None, None, "launch"]),
    )
    def register(
        self,
        name: str,
        tenant: str,
        checkpoint: str | None,
        age: int | None,
        runs: tuple[str | None, str | None],
        launch: str | None,
    ) -> None:
        continued = self.caller(name, age).run
        asked = Registration(name, tenant, checkpoint, continued, *runs, launch)
        self.step("instances", "register", asked, when=MOVES[Move.REGISTER].sources)

    @rule(name=names)
    def register_simply(self, name: str) -> None:
        asked = Registration(name, "t")
        self.step("instances", "register", asked, when=MOVES[Move.REGISTER].sources)

    @rule(name=names | kids, age=ages)
    def touch(self, name: str, age: int | None) -> None:
        self.step("instances", "mark_active", [self.caller(name, age), Caller("nobody")])

    @rule(name=mortals, age=ages, ending=finals)
    def finish(self, name: str, age: int | None, ending: Ending) -> None:
        sources = MOVES[Move.TERMINATE].sources
        self.step("instances", "finish", self.caller(name, age), ending, when=sources)

    @rule(name=mortals, aside=st.lists(checkpoints, max_size=2, unique=True))
    def reopen(self, name: str, aside: list[str]) -> None:
        sources = MOVES[Move.REOPEN].sources
        self.step("instances", "reopen", Reopening(name, aside), when=sources)

    @rule(name=mortals, age=ages, checkpoint=checkpoints, is_registered=st.booleans())
    def fail_and_reopen(
        self, name: str, age: int | None, checkpoint: str, is_registered: bool
    ) -> None:
        ending = Ending(State.FAILED, error="broken")
        self.end(name, 0, ending)
        self.reopen(name, [checkpoint])
        if is_registered:
            self.register_simply(name)
        self.end(name, age, ending)

    @rule(token=tokens, span=spans, limit=limits)
    def claim_due(self, token: str, span: timedelta, limit: int) -> None:
        self.step("claims", "claim_due", Claim(token, self.now + span), limit=limit)

    @rule(
        token=tokens,
        span=spans,
        held=st.dictionaries(st.just("nobody") | names, st.tuples(ages, st.none() | spans)),
    )
    def renew(
        self, token: str, span: timedelta, held: dict[str, tuple[int | None, timedelta | None]]
    ) -> None:
        sleepers = {
            self.caller(name, age): None if left is None else self.now + left
            for name, (age, left) in held.items()
        }
        self.step("claims", "renew", Claim(token, self.now + span), sleepers)

    @rule(token=tokens, some=st.lists(names, unique=True))
    def release(self, token: str, some: list[str]) -> None:
        self.step("claims", "release", token, some)

    @rule(name=names, age=ages, token=tokens)
    def wake(self, name: str, age: int | None, token: str) -> None:
        sources = MOVES[Move.WAKE].sources
        self.step("claims", "wake", self.caller(name, age), token=token, when=sources)

    @precondition(lambda self: not self.is_gathering)  # Several transactions, as it may be.
    @rule(age=spans)
    def prune(self, age: timedelta) -> None:
        self.step("instances", "prune", self.now - age, at=False)

    @precondition(lambda self: not self.is_gathering)  # A transaction of its own on its rows.
    @rule(name=names, also_suspended=st.booleans())
    def delete(self, name: str, also_suspended: bool) -> None:
        deletion = Deletion(name, also_suspended=also_suspended)
        self.step("launches", "delete", deletion, at=False)

    # Checkpoints

    @rule(name=names, age=ages, checkpoint=checkpoints, state=payloads)
    def save(self, name: str, age: int | None, checkpoint: str, state: bytes) -> None:
        write = CheckpointWrite(checkpoint, state)
        self.step("checkpoints", "save", self.caller(name, age), write, when=WORKING)

    @rule(
        name=names,
        age=ages,
        sleep=st.builds(Sleep, checkpoints, small, durations, keeps_running, st.booleans(), waits),
        token=tokens,
        claimed=spans,
        earliest=st.none() | spans,
    )
    def sleep(
        self,
        name: str,
        age: int | None,
        sleep: Sleep,
        token: str,
        claimed: timedelta,
        earliest: timedelta | None,
    ) -> None:
        self.step(
            "checkpoints",
            "sleep",
            self.caller(name, age),
            sleep,
            when=WORKING,
            claim=Claim(token, self.now + claimed),
            earliest=None if earliest is None else self.now + earliest,
        )

    @rule(name=names, age=ages, checkpoint=checkpoints, number=st.sampled_from([1, 10]))
    def record_retry(self, name: str, age: int | None, checkpoint: str, number: int) -> None:
        attempt = RetryAttempt(checkpoint, number, self.now - SECOND, f"failed at {self.now}")
        self.step("checkpoints", "record_retry", self.caller(name, age), attempt, when=OPEN)

    # Events

    @rule(name=names, age=ages, payload=small, subtype=st.sampled_from([None, "", "s"]))
    def say(self, name: str, age: int | None, payload: bytes, subtype: str | None) -> None:
        event = Event(EventType.CUSTOM, payload, self.now - SECOND, "c", subtype)
        self.step("events", "append", self.caller(name, age), event, when=ANY)

    @rule(name=mortals, age=ages, ending=endings)
    def end(self, name: str, age: int | None, ending: Ending) -> None:
        event = self.ending(ending)
        self.step("events", "end", self.caller(name, age), event, ending, when=WORKING)

    @rule(name=names, age=ages, waits=waits, reason=reasons)
    def suspend(
        self, name: str, age: int | None, waits: str | None = None, reason: str | None = None
    ) -> None:
        event = Event(EventType.SUSPENDED, b"", self.now, blocked_reason=reason, waits=waits)
        self.step("events", "suspend", self.caller(name, age), event)

    @rule(name=names, age=ages, reason=st.sampled_from(["changed", ""]))
    def block(self, name: str, age: int | None, reason: str) -> None:
        sources = MOVES[Move.BLOCK].sources
        self.step("instances", "block", self.caller(name, age), reason, when=sources)

    @rule(name=names, told=st.sampled_from(SignalType), sent=st.sampled_from(SignalType))
    def block_and_be_told(self, name: str, told: SignalType, sent: SignalType) -> None:
        self.send(name, told, b"")
        self.block(name, 0, "changed")
        self.claim_due("environment", SECOND, 100)
        self.send(name, sent, b"")
        self.claim_due("environment", SECOND, 100)

    @rule(said=st.lists(st.tuples(names, ages, st.sampled_from("csf")), max_size=4))
    def say_all(self, said: list[tuple[str, int | None, str]]) -> None:
        steps = [self.batched(self.caller(name, age), kind) for name, age, kind in said]
        self.step("events", "record_all", steps)

    # Signals

    @rule(name=names, type=st.sampled_from(SignalType), payload=small)
    def send(self, name: str, type: SignalType, payload: bytes) -> None:
        self.step("signals", "send", name, Signal(type, payload), when=OPEN)

    @rule(name=names, signal=st.builds(CustomSignal, checkpoints, small))
    def send_custom(self, name: str, signal: CustomSignal) -> None:
        self.step("signals", "send_custom", name, signal, when=OPEN)

    @rule(name=names, age=ages, type=st.sampled_from(SignalType))
    def acknowledge(self, name: str, age: int | None, type: SignalType) -> None:
        self.step("signals", "acknowledge", self.caller(name, age), type)

    @rule(name=names, age=ages, named=st.lists(checkpoints))
    def poll(self, name: str, age: int | None, named: list[str]) -> None:
        self.step("signals", "pending", self.caller(name, age), named, at=False)

    # Reads

    @rule(name=names, checkpoint=checkpoints, span=spans, limit=limits)
    def read(self, name: str, checkpoint: str, span: timedelta, limit: int) -> None:
        for method in ("get", "input", "run_state"):
            self.step("instances", method, name, at=False)
        self.step("instances", "run_states", [name, "nobody"], at=False)
        self.step("instances", "inactive_since", self.now - span, limit=limit, at=False)
        self.step("checkpoints", "get", name, checkpoint, at=False)

    @precondition(lambda self: not self.is_gathering)  # A page a call.
    @rule(name=names, instances=chosen_instances, events=chosen_events, limit=limits)
    def read_lists(
        self, name: str, instances: InstanceFilter, events: EventFilter, limit: int
    ) -> None:
        self.take(Listing("instances", "page", (instances,), limit=limit))
        self.take(Listing("checkpoints", "page", (name,), limit=limit))
        self.take(Listing("events", "page", (events,), limit=limit))
        self.step("instances", "count", instances, at=False)
        self.step("checkpoints", "count", CheckpointFilter(name), at=False)
        self.step("checkpoints", "newest", CheckpointFilter(name), limit=limit, at=False)
        self.step("events", "count", events, at=False)

    def step(
        self, noun: str, method: str, *arguments: object, at: bool = True, **options: object
    ) -> None:
        """Take a step, now if `at`."""
        if at:
            options["at"] = self.now
        self.take(Step(noun, method, arguments, options))

    def ending(self, ending: Ending) -> Event:
        return Event(EventType(ending.state.value), ending.output or b"", self.now)

    def batched(self, caller: Caller, kind: str) -> EventStep:
        """Lay down an event of a batch: custom, suspended or failed."""
        if kind == "c":
            return EventStep(caller, Event(EventType.CUSTOM, b"1", self.now), ANY)
        if kind == "s":
            return EventStep(caller, Event(EventType.SUSPENDED, b"", self.now), OPEN)
        ending = Ending(State.FAILED, error="broken")
        return EventStep(caller, self.ending(ending), WORKING, ending)
