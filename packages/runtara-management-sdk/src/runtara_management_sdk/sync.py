"""
The typed client for code without an event loop: the same names, arguments, results and errors.

    with ManagementClient() as client:
        for instance in client.instances.list():
            print(instance.instance_id, instance.status)

Each method runs the async client's method in a thread and waits for it. Lists are iterators.
Callbacks, such as `on_progress` of an upload, are called in that thread, and can't call the client.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from runtara_management_sdk import (
    client,
    images,
    instances,
    launches,
    operations,
    schedules,
    workers,
)
from runtara_management_sdk.answers import Asks
from runtara_management_sdk.loop import LoopThread
from runtara_management_sdk.settings import ManagementSettings

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R")


class Face(Generic[A]):
    """A synchronous wrapper of one object of the async client."""

    def __init__(self, loop: LoopThread, whole: A) -> None:
        self._loop, self._whole = loop, whole


class Waits(Generic[A, P, R]):
    """A method that runs the async method, and waits for its result."""

    def __init__(self, method: Callable[Concatenate[A, P], Coroutine[Any, Any, R]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, face: None, owner: object = None) -> Self: ...

    @overload
    def __get__(self, face: Face[A], owner: object = None) -> Callable[P, R]: ...

    def __get__(self, face: Face[A] | None, owner: object = None) -> "Self | Callable[P, R]":
        if face is None:
            return self

        @wraps(self._method)
        def waits(*args: P.args, **kwargs: P.kwargs) -> R:
            return face._loop.run(self._method(face._whole, *args, **kwargs))

        return waits


class Iterates(Generic[A, P, R]):
    """A method that returns an iterator over the items of the async method."""

    def __init__(self, method: Callable[Concatenate[A, P], AsyncIterator[R]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, face: None, owner: object = None) -> Self: ...

    @overload
    def __get__(self, face: Face[A], owner: object = None) -> Callable[P, Iterator[R]]: ...

    def __get__(
        self, face: Face[A] | None, owner: object = None
    ) -> "Self | Callable[P, Iterator[R]]":
        if face is None:
            return self

        @wraps(self._method)
        def iterates(*args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
            return face._loop.iterate(self._method(face._whole, *args, **kwargs))

        return iterates


class Images(Face[images.Images]):
    """The images that an environment stores."""

    register = Waits(images.Images.register)
    list = Iterates(images.Images.list)
    get = Waits(images.Images.get)
    delete = Waits(images.Images.delete)


class Instances(Face[instances.Instances]):
    """The instances of an environment's database."""

    start = Waits(instances.Instances.start)
    get = Waits(instances.Instances.get)
    wait = Waits(instances.Instances.wait)
    list = Iterates(instances.Instances.list)
    count = Waits(instances.Instances.count)
    stop = Waits(instances.Instances.stop)
    cancel = Waits(instances.Instances.cancel)
    pause = Waits(instances.Instances.pause)
    resume = Waits(instances.Instances.resume)
    send = Waits(instances.Instances.send)
    retry = Waits(instances.Instances.retry)
    fork = Waits(instances.Instances.fork)
    move = Waits(instances.Instances.move)
    delete = Waits(instances.Instances.delete)
    prune = Waits(instances.Instances.prune)
    export = Waits(instances.Instances.export)
    import_ = Waits(instances.Instances.import_)
    checkpoints = Iterates(instances.Instances.checkpoints)
    checkpoint = Waits(instances.Instances.checkpoint)
    history = Waits(instances.Instances.history)
    events = Iterates(instances.Instances.events)


class Launches(Face[launches.Launches]):
    """The processes that were started for instances."""

    list = Iterates(launches.Launches.list)
    log = Iterates(launches.Launches.log)


class Environments(Face[operations.Environments]):
    """Environments and workers, their drains, and holds."""

    list = Waits(operations.Environments.list)
    drain = Waits(operations.Environments.drain)
    hold = Waits(operations.Environments.hold)
    release = Waits(operations.Environments.release)
    holds = Waits(operations.Environments.holds)


class Queues(Face[operations.Queues]):
    """Queues, and limits of open launches."""

    put = Waits(operations.Queues.put)
    list = Waits(operations.Queues.list)
    delete = Waits(operations.Queues.delete)
    limit = Waits(operations.Queues.limit)
    limits = Waits(operations.Queues.limits)


class Schedules(Face[schedules.Schedules]):
    """Schedules of an environment's database."""

    put = Waits(schedules.Schedules.put)
    declare = Waits(schedules.Schedules.declare)
    list = Waits(schedules.Schedules.list)
    pause = Waits(schedules.Schedules.pause)
    resume = Waits(schedules.Schedules.resume)
    trigger = Waits(schedules.Schedules.trigger)
    backfill = Waits(schedules.Schedules.backfill)
    next_ticks = Waits(schedules.Schedules.next_ticks)
    delete = Waits(schedules.Schedules.delete)


class Workers(Face[workers.Workers]):
    """The protocol of workers."""

    open = Waits(workers.Workers.open)
    claim = Waits(workers.Workers.claim)
    renew = Waits(workers.Workers.renew)
    report = Waits(workers.Workers.report)
    close = Waits(workers.Workers.close)


class ManagementClient(Face[client.ManagementClient]):
    """
    A client of an environment's management port, used in a `with` block; threads may share it.

    It takes the same settings as the async ManagementClient, and also connects at the first call. A
    call outside of the `with` block raises ClientNotOpen. So does a call that is under way when
    another thread leaves the block.
    """

    health = Waits(client.ManagementClient.health)
    metrics = Waits(client.ManagementClient.metrics)

    def __init__(
        self, settings: ManagementSettings | None = None, *, transport: Asks | None = None
    ) -> None:
        whole = client.ManagementClient(settings, transport=transport)
        loop = LoopThread("runtara-management")
        super().__init__(loop, whole)
        self.images = Images(loop, whole.images)
        self.instances = Instances(loop, whole.instances)
        self.launches = Launches(loop, whole.launches)
        self.environments = Environments(loop, whole.environments)
        self.queues = Queues(loop, whole.queues)
        self.schedules = Schedules(loop, whole.schedules)
        self.workers = Workers(loop, whole.workers)

    def __enter__(self) -> Self:
        self._loop.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._loop.run(self._whole.aclose())
        finally:
            self._loop.stop()
