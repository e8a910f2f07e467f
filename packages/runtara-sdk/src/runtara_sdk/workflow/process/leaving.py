"""Leaving: how a run's process ends, which depends on how its run did."""

import asyncio
import atexit
import ctypes
import gc
import os
import sys
import threading
from dataclasses import dataclass
from enum import Enum, auto
from types import ModuleType
from typing import Any, NoReturn

from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.process import outputs
from runtara_sdk.workflow.values import threads

logger = get_logger(__name__)

HANDLERS_LIMIT = 10.0
"""Seconds that the handlers of a process have that leaves a run under way."""


class Manner(Enum):
    """
    The parts of a Python program's end that a process executes.

    WHOLE, if the instance has ended: tasks are cancelled, non-daemon threads awaited, atexit
    handlers called, and the globals of the user's modules released, so that files are flushed.
    HANDLERS, if another process will continue the instance: only the atexit handlers, for ten
    seconds; no user frame is unwound, and no thread awaited. NONE, if another process has taken the
    instance over, or this one was interrupted: nothing.
    """

    WHOLE = auto()
    HANDLERS = auto()
    NONE = auto()


_USUAL_THRESHOLD, _THRESHOLD = 700, 5_000
"""After how many new objects the collector looks at them: of a short run it takes a tenth."""

_spared: dict[str, None] = {}
"""The names of modules, in their order, whose globals are not released at the process's end."""

_libraries: int | None = None
"""How many libraries were loaded when modules were spared; None: handlers are called anyway."""


def spare() -> None:
    """
    Exempt the present objects from collection and release; called before user code is imported.

    The garbage collector skips them, and they are not released at the end: a forked process copies
    each object that it visits, which took four times the CPU of the rest. A second call does
    nothing.
    """
    global _libraries
    if not _spared:
        _spared.update(dict.fromkeys(sys.modules))
        # Libraries that are loaded for their handlers, such as tracers, come before all others.
        _libraries = None if os.environ.get("LD_PRELOAD") else _count_libraries()
        gc.collect()
        gc.freeze()
        if gc.get_threshold()[0] == _USUAL_THRESHOLD:
            gc.set_threshold(_THRESHOLD, *gc.get_threshold()[1:])


@dataclass(frozen=True, slots=True)
class Leave:
    """How the process ends: `message` goes to standard error, `output` to standard output."""

    code: int
    manner: Manner
    message: str = ""
    output: bytes = b""


class Door:
    """The way out of this process; made first of all, so that its words are the last."""

    def __init__(self) -> None:
        self._output = b""
        # Handlers are called from the last one to the first: the output of handlers registered
        # later comes before the result.
        atexit.register(self._close)

    def leave(self, leave: Leave, runner: asyncio.Runner | None = None) -> NoReturn:
        """End the process; `runner` is that of the run, which is over."""
        if leave.message:
            text = f"{leave.message.rstrip()}\n"
            outputs.write(sys.stderr, text.encode(errors="backslashreplace"))
        self._output = leave.output
        if leave.manner is Manner.WHOLE:
            if runner is not None:
                # As asyncio.run does with the tasks and generators left in its loop.
                runner.run(_end_tasks())
                runner.close()
            _name_threads()
            # As Python does at its end: threads, handlers, modules.
            threading._shutdown()  # type: ignore[attr-defined]  # Python's own, at its end.
            atexit._run_exitfuncs()
            _let_go()
            self._close()
            _end_of_c(leave.code)
        self._close()
        if leave.manner is Manner.HANDLERS and not threads.are_at_work():
            _call_handlers(leave.code)
            self._close()
        os._exit(leave.code)

    def _close(self) -> None:
        output, self._output = self._output, b""
        outputs.write(sys.stdout, output)
        outputs.write(sys.stderr)


async def _end_tasks() -> None:
    """
    Cancel all tasks and wait for them.

    The clean-up of one may ask for something durable: it blocks there then, and no task of the
    loop's any more. Runner.close would wait for it for ever.
    """
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    while left := left & asyncio.all_tasks():
        await asyncio.wait(left, timeout=0.1)


def _let_go() -> None:
    """Let go of the globals of the user's modules, the last imported first."""
    for module in _users_modules():
        # sys.modules may have any object.
        if issubclass(type(module), ModuleType):
            names = module.__dict__
            for name in [*names]:
                if name != "__builtins__":
                    names[name] = None
    gc.collect()


def _users_modules() -> list[object]:
    """Return the modules that were imported since `spare`, the last first."""
    last = next(reversed(_spared), None)
    found: list[object] = []
    # From the end: a module that is only looked at is copied in a forked process, with its page.
    for name in reversed(sys.modules):
        # A module that is imported again goes to the end: others of the user's are before it then.
        if name == last and len(found) == len(sys.modules) - len(_spared):
            break
        if name not in _spared:
            found.append(sys.modules[name])
    return found


def _end_of_c(code: int) -> NoReturn:
    """
    End as C's `exit`, with the buffers and handlers of C's libraries, and nothing more of Python's.

    The handlers of libraries that Python and this package load only free memory, which takes some
    milliseconds. So they are not called, but where user code has loaded libraries, or LD_PRELOAD
    was set: then all are.
    """
    c = ctypes.PyDLL(None)
    if _libraries is None or _count_libraries() != _libraries:
        c.exit(code)
    c.fflush(None)
    os._exit(code)


class _Library(ctypes.Structure):
    """The description of a loaded library by `dl_iterate_phdr`."""

    _fields_ = (
        ("address", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("headers", ctypes.c_void_p),
        ("header_count", ctypes.c_uint16),
        ("loaded_so_far", ctypes.c_ulonglong),
    )


def _count_libraries() -> int | None:
    """Return how many libraries this process has ever loaded; None if that can't be known."""
    counts: list[int] = []

    def note(library: Any, size: int, data: int) -> int:
        if size >= ctypes.sizeof(_Library):
            counts.append(library.contents.loaded_so_far)
        return 1  # The first one is enough.

    look = getattr(ctypes.PyDLL(None), "dl_iterate_phdr", None)
    if look is None:
        return None
    kind = ctypes.PYFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(_Library), ctypes.c_size_t, ctypes.c_void_p
    )
    look(kind(note), None)
    return counts[0] if counts else None


def _name_threads() -> None:
    """Log the threads for which the process waits, if there are any."""
    names = [
        thread.name
        for thread in threading.enumerate()
        if not (thread.daemon or thread is threading.current_thread() or threads.is_ours(thread))
    ]
    if names:
        logger.info("the run has ended; its process waits for the threads %s", ", ".join(names))


def _call_handlers(code: int) -> None:
    """Call the atexit handlers, here, where they expect to be called; end when they take long."""
    # The loop is not closed, and handlers that ask for an event loop must not get and run it.
    asyncio.set_event_loop(None)
    # A frame that the collector frees is unwound.
    gc.freeze()
    limit = threading.Timer(HANDLERS_LIMIT, _give_up, [code])
    limit.daemon = True
    limit.start()
    # As multiprocessing calls them: their errors are printed, and don't change the exit code.
    atexit._run_exitfuncs()
    limit.cancel()


def _give_up(code: int) -> NoReturn:
    text = f"the atexit handlers have taken {HANDLERS_LIMIT:g} s: the process ends without them\n"
    outputs.write(sys.stderr, text.encode())
    os._exit(code)
