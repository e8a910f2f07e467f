"""The model's steps of events and signals: what instances say, and what they are told."""

from collections.abc import Sequence
from datetime import datetime

from tests.model.reading import Reading
from tests.model.tables import (
    FINAL,
    OPEN,
    WORKING,
    Row,
    admits,
    is_one_of,
    move,
    show_life,
)

from runtara_domain.model import (
    Acknowledged,
    Caller,
    CustomSignal,
    Delivered,
    Ending,
    Event,
    EventStep,
    Recorded,
    Signal,
    Standing,
)
from runtara_domain.status import SignalType, State


class Telling(Reading):
    """The tables, their reads, and these steps."""

    # Events

    def events_append(self, caller: Caller, event: Event, *, at: datetime) -> Recorded:
        before = self.instances_standing(caller.instance_id)
        if before is None or not admits(before, caller, OPEN | FINAL):
            return Recorded(before)
        self.add_event(caller.instance_id, event)
        if before.state in OPEN:
            show_life(self.instances[caller.instance_id], at)
        return Recorded(before, after=before.state)

    def events_end(self, caller: Caller, event: Event, ending: Ending, *, at: datetime) -> Recorded:
        before = self.instances_standing(caller.instance_id)
        if before is None or not admits(before, caller, WORKING | FINAL):
            return Recorded(before)
        row = self.instances[caller.instance_id]
        if before.state in FINAL:
            found = (before.state, row["output"], row["error"])
            if found == (ending.state, ending.output, ending.error):
                return Recorded(before, repeated=True, after=before.state)
            return Recorded(before)
        self.add_event(caller.instance_id, event)
        row["output"], row["error"] = ending.output, ending.error
        show_life(row, at)
        move(row, ending.state, at)
        return Recorded(before, after=ending.state)

    def events_suspend(self, caller: Caller, event: Event, *, at: datetime) -> Recorded:
        name = caller.instance_id
        before = self.instances_standing(name)
        if before is not None and self._has_suspended_so(before, caller, event):
            return Recorded(before, repeated=True, after=before.state)
        if before is None or not admits(before, caller, OPEN):
            return Recorded(before)
        after, signal = before.state, self.pending(name)
        if is_one_of(signal, "cancel"):
            after = State.CANCELLED
        elif before.state == "pending":
            return Recorded(before)
        elif is_one_of(signal, "pause") or before.state == "running":
            after = State.PAUSED
        if is_one_of(signal, "cancel", "pause"):
            self.signals[name]["acknowledged_at"] = at
        row = self.instances[name]
        self.add_event(name, event)
        show_life(row, at)
        if after != before.state:
            move(row, after, at)
        return Recorded(before, after=after)

    def _has_suspended_so(self, before: Standing, caller: Caller, event: Event) -> bool:
        """The same ending again: the last word of the process, as it acknowledged a cancel."""
        name = caller.instance_id
        told = self.signals.get(name)
        said = [
            (row["event_type"], row["payload"])
            for row in self.events
            if row["instance_id"] == name and row["event_type"] in ("started", "suspended")
        ]
        return (
            admits(before, caller, {"cancelled"})
            and told is not None
            and (told["signal_type"], told["acknowledged_at"] is None) == ("cancel", False)
            and said[-1:] == [("suspended", event.payload)]
        )

    def events_record_all(self, steps: Sequence[EventStep], *, at: datetime) -> list[Recorded]:
        outcomes = []
        for step in steps:
            if step.ending is not None:
                outcomes.append(self.events_end(step.caller, step.event, step.ending, at=at))
            elif step.event.type == "suspended":
                outcomes.append(self.events_suspend(step.caller, step.event, at=at))
            else:
                outcomes.append(self.events_append(step.caller, step.event, at=at))
        return outcomes

    # Signals

    def signals_send(self, name: str, signal: Signal, *, at: datetime) -> Delivered:
        before = self.instances_standing(name)
        if before is None or before.state in FINAL:
            return Delivered(before)
        if is_one_of(self.pending(name), "cancel") and signal.type != "cancel":
            return Delivered(before)
        row: Row = {"instance_id": name, "signal_type": signal.type, "payload": signal.payload}
        row |= {"created_at": at, "acknowledged_at": None}
        if signal.type == "cancel" and before.state == "pending":
            row["acknowledged_at"] = at
            move(self.instances[name], State.CANCELLED, at)
        self.signals[name] = row
        return Delivered(before, stands=True)

    def signals_send_custom(self, name: str, signal: CustomSignal, *, at: datetime) -> Delivered:
        before = self.instances_standing(name)
        key = name, signal.checkpoint_id
        if before is None or before.state in FINAL or key in self.customs:
            return Delivered(before)
        row: Row = {"instance_id": name, "checkpoint_id": signal.checkpoint_id}
        self.customs[key] = row | {"payload": signal.payload, "created_at": at}
        if before.state == "asleep":
            asleep = self.instances[name]
            asleep["sleep_until"] = min(asleep["sleep_until"], at)
        return Delivered(before, stands=True)

    def signals_acknowledge(
        self, caller: Caller, type: SignalType, *, at: datetime
    ) -> Acknowledged:
        name = caller.instance_id
        before = self.instances_standing(name)
        if before is None or not admits(before, caller, OPEN):
            return Acknowledged(before)
        allowed = {
            "cancel": OPEN,
            "pause": {"running", "asleep", "paused"},
            # Paused, it must stay due: only registering settles a resume then.
            "resume": {"pending", "running", "asleep"},
        }
        if not is_one_of(self.pending(name), type) or before.state not in allowed[type]:
            return Acknowledged(before)
        to = {"cancel": State.CANCELLED, "pause": State.PAUSED, "resume": before.state}[type]
        row = self.instances[name]
        self.signals[name]["acknowledged_at"] = at
        show_life(row, at)
        if to != before.state:
            move(row, to, at)
        return Acknowledged(before, to)
