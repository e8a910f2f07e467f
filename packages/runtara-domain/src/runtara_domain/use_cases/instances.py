"""Registering instances, reading their states, and starting children."""

from collections.abc import Collection, Sequence

from runtara_domain.activity import Activity
from runtara_domain.error import (
    CheckpointNotFound,
    InstanceAlreadyExists,
    InstanceNotFound,
    InstanceSuperseded,
    InvalidInstanceState,
)
from runtara_domain.model import (
    Caller,
    ChildrenStarted,
    Instance,
    NewChild,
    NewChildren,
    Registered,
    Registration,
    Reopened,
    Reopening,
    Signal,
)
from runtara_domain.ports.clock import Clock
from runtara_domain.ports.instances import Instances
from runtara_domain.ports.signals import Signals
from runtara_domain.record import record
from runtara_domain.sessions import InstanceSlots, Session
from runtara_domain.status import MOVES, OPEN, WORKING, Move, SignalType
from runtara_domain.use_cases.admission import require_admitted, superseded
from runtara_domain.waits import Waits


@record
class RegisterInstance:
    """Begin a run of an instance, or continue a run on a new connection."""

    instances: Instances
    slots: InstanceSlots
    waits: Waits
    clock: Clock

    async def __call__(self, *, session: Session, registration: Registration) -> Registered:
        if self.slots.is_full and not self.slots.holds(registration.instance_id):
            await self._free_places()
        with session.slot(registration.instance_id):
            found = await self.instances.register(
                registration, when=MOVES[Move.REGISTER].sources, at=self.clock.now()
            )
            _refuse(registration, found)
            session.bind(registration.instance_id, found.run)
        self.waits.recheck([registration.instance_id])  # Waits of older runs must notice it.
        return found

    async def _free_places(self) -> None:
        """Free the slots of instances that operators, environments or other servers ended."""
        run_states = await self.instances.run_states(self.slots.instance_ids)
        for instance_id, run_state in run_states.items():
            if run_state.state.is_final:
                self.slots.free(instance_id)


def _refuse(asked: Registration, found: Registered) -> None:
    name = f"Instance {asked.instance_id!r}"
    if found.before is None and asked.continue_run is not None:
        raise InstanceNotFound(asked.instance_id)
    if found.tenant_id != asked.tenant_id:
        raise InstanceAlreadyExists(f"{name} belongs to another tenant than {asked.tenant_id!r}")
    if found.before is not None and found.before.state.is_final:
        raise InvalidInstanceState(f"{name} is {found.before.state}: it has ended")
    if not found.checkpoint_exists:
        raise CheckpointNotFound(f"Checkpoint {asked.checkpoint_id!r} of {name} not found")
    if not found.launch_is_open:
        raise InstanceSuperseded(
            f"Launch {asked.launch_id!r} is not the open one of {name}: this process must stop"
        )
    if asked.continue_run is not None and asked.continue_run != found.run:
        raise superseded(asked.instance_id, asked.continue_run, found.run)


@record
class GetInstanceStatus:
    """Read an instance, its own or another."""

    instances: Instances
    activity: Activity

    async def __call__(self, *, caller: Caller) -> Instance | None:
        instance = await self.instances.get(caller.instance_id)
        # Any session may read any instance, but only a session with its run gives a sign of life.
        if caller.run is not None:
            self.activity.note(caller)
        return instance


@record
class StartChild:
    """
    Create an instance as a child of the caller, or as its successor.

    Returns whether it was created; False: the same child exists already. Raises
    InstanceAlreadyExists if the id is another instance's.
    """

    instances: Instances
    activity: Activity
    clock: Clock

    async def __call__(self, *, caller: Caller, child: NewChild) -> bool:
        started = await self.instances.start_child(caller, child, when=WORKING, at=self.clock.now())
        require_admitted(caller, started.before, WORKING, "start a child")
        if started.differs_in:
            raise InstanceAlreadyExists(_taken(caller, child, started.differs_in))
        self.activity.note(caller)
        return started.created


@record
class StartChildren:
    """
    Create children of the caller, and save checkpoints of it, in one step.

    Raises InstanceAlreadyExists, which names the child, if an id is another instance's; nothing is
    stored then.
    """

    instances: Instances
    activity: Activity
    clock: Clock

    async def __call__(self, *, caller: Caller, new: NewChildren) -> ChildrenStarted:
        started = await self.instances.start_children(
            caller, new, when=WORKING, at=self.clock.now()
        )
        require_admitted(caller, started.before, WORKING, "start children")
        if started.refused is not None:
            child = new.children[started.refused]
            raise InstanceAlreadyExists(_taken(caller, child, started.differs_in))
        self.activity.note(caller)
        return started


@record
class CancelChild:
    """
    Send CANCEL to a child of the calling instance; a PENDING child is CANCELLED at once.

    Returns False if the child has ended already. Raises InstanceNotFound for an id that is not a
    child's of the caller.
    """

    instances: Instances
    signals: Signals
    activity: Activity
    clock: Clock

    async def __call__(self, *, caller: Caller, child_id: str) -> bool:
        run_state = await self.instances.run_state(caller.instance_id)
        require_admitted(caller, run_state, OPEN, "cancel a child")
        child = await self.instances.get(child_id)
        if child is None or child.parent_id != caller.instance_id:
            raise InstanceNotFound(child_id)
        cancel = Signal(SignalType.CANCEL)
        sent = await self.signals.send(child_id, cancel, when=OPEN, at=self.clock.now())
        self.activity.note(caller)
        return sent.before is not None and not sent.before.state.is_final


def _taken(caller: Caller, child: NewChild, differs_in: Sequence[str]) -> str:
    if child.is_successor:
        return (
            f"Instance {child.child_id!r} exists and is no successor of {caller.instance_id!r}:"
            f" delete it, then retry {caller.instance_id!r}"
        )
    if "parent" in differs_in:
        return (
            f"Instance {child.child_id!r} exists and is no child of {caller.instance_id!r}:"
            " choose another child_id"
        )
    return (
        f"Child {child.child_id!r} of {caller.instance_id!r} was started before with another"
        f" {' and another '.join(differs_in)}: ask for the same again, or choose another child_id"
    )


@record
class ReopenInstance:
    """
    Let a FAILED or CANCELLED instance go on: it is due, and keeps all but its ending.

    set_aside: the checkpoints whose steps run again. Raises InstanceNotFound, or
    InvalidInstanceState for one that is open or completed.
    """

    instances: Instances
    clock: Clock

    async def __call__(self, *, instance_id: str, set_aside: Collection[str] = ()) -> Reopened:
        sources = MOVES[Move.REOPEN].sources
        reopened = await self.instances.reopen(
            Reopening(instance_id, set_aside), when=sources, at=self.clock.now()
        )
        if reopened.before is None:
            raise InstanceNotFound(instance_id)
        if reopened.before.state not in sources:
            raise InvalidInstanceState(
                f"Instance {instance_id!r} is {reopened.before.state}: to be reopened, it must be"
                f" {' or '.join(sorted(sources))}"
            )
        return reopened
