"""
A warm interpreter: it imports an image's code once, and is forked for each launch of the image.

The image's Python runs this file by its path. That Python need not have this package, so the file
imports only the standard library and the image's code. The spawner sends orders, and gets answers,
as JSON lines on a socket; the first argument is its file descriptor. With an order comes the file
descriptor of the launch's output. An order without arguments asks for a prepared process. Its file
descriptor is a socket, on which that process waits for an order of its own. After an upgrade the
orders may come from an older spawner, which lives on: the names in them don't change.

The interpreter has one thread and no event loop. An image whose import starts threads or opens
sockets can't be forked: the first answer says so, and the environment starts a separate process for
each launch.
"""

import array
import errno
import gc
import importlib.util
import json
import os
import random
import runpy
import socket
import sys
import time
import traceback
from functools import cache
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import CodeType
from typing import Any, NoReturn, TypeAlias

Program: TypeAlias = tuple[ModuleSpec, CodeType]

_MAX_LINE = 8 * 1024 * 1024

_TRY_AGAIN = 4
"""The exit code of a launch that failed before any code of the image ran."""

_OF_THE_MACHINE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE})
"""Errors of the machine or its file systems; the same import may succeed later."""

_THREADS_END = 0.1
"""Seconds for which the system may still list an ended thread."""


def main(arguments: list[str]) -> int:
    """Import the modules `arguments[1:]`, then fork for each order on the socket `arguments[0]`."""
    # Removes this file's folder: its modules would hide an image's modules of the same name.
    if sys.path[:1] == [str(Path(__file__).parent)]:
        del sys.path[0]
    orders = socket.socket(fileno=int(arguments[0]))
    answer = _imported(arguments[1:]) or _checked(orders.fileno()) or {"ready": True}
    # Frozen, because in a forked process the collector would copy the page of each tracked object.
    gc.collect()
    gc.freeze()
    _answer(orders, answer)
    while "problem" not in answer and (order := _received(orders)) is not None:
        answer = _launched(orders, *order)
        _answer(orders, answer)
    return int("problem" in answer)


def _imported(modules: list[str]) -> dict[str, Any] | None:
    try:
        for module in modules:
            _import(module)
    except BaseException as error:
        return _failed(is_the_images=not _is_of_the_machine(error))
    return None


def _is_of_the_machine(error: BaseException) -> bool:
    """Return whether an import failed for want of memory or files, or because a disk failed."""
    if isinstance(error, OSError):
        return error.errno in _OF_THE_MACHINE
    return isinstance(error, MemoryError)


def _failed(*, is_the_images: bool) -> dict[str, Any]:
    """
    Return the answer for the current error.

    The problem "import" marks the image as one that can't be run. After "ended" the spawner ends
    this interpreter, and the launch is tried again.
    """
    return {"problem": "import" if is_the_images else "ended", "text": traceback.format_exc()}


def _import(module: str) -> None:
    """Import a module; a module with a leading `?` may be missing."""
    try:
        importlib.import_module(module.removeprefix("?"))
    except ImportError:
        if not module.startswith("?"):
            raise


def _checked(ours: int) -> dict[str, Any] | None:
    try:
        return _unforkable(ours)
    except OSError:
        # Without an answer the spawner would take the end of this process for the import's fault.
        return _failed(is_the_images=False)


def _unforkable(ours: int) -> dict[str, Any] | None:
    """Return the problem if the import started threads or opened sockets; None if it did not."""
    until = time.monotonic() + _THREADS_END
    while len(os.listdir("/proc/self/task")) > 1:
        if time.monotonic() > until:
            return {"problem": "threads", "text": "its import starts threads"}
        time.sleep(0.005)
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:  # The folder's own, which is closed by now.
            continue
        if int(name) != ours and target.startswith(("socket:", "anon_inode:")):
            return {"problem": "sockets", "text": f"its import opens {target}"}
    return None


def _received(orders: socket.socket) -> tuple[dict[str, Any], int] | None:
    """Return the next order and its file descriptor; None once the spawner has ended."""
    line, received = b"", -1
    while not line.endswith(b"\n"):
        data, sent, _, _ = orders.recvmsg(65536, socket.CMSG_LEN(array.array("i", [0]).itemsize))
        if not data:
            return None
        for _level, _type, content in sent:
            received = array.array("i", content[:4])[0]
        line += data
        if len(line) > _MAX_LINE:
            raise ValueError(f"an order takes at most {_MAX_LINE} bytes")
    return json.loads(line), received


def _answer(orders: socket.socket, answer: dict[str, Any]) -> None:
    orders.sendall(json.dumps(answer).encode() + b"\n")


def _launched(orders: socket.socket, order: dict[str, Any], received: int) -> dict[str, Any]:
    """
    Fork twice, so that the process becomes a child of the spawner, which gets its exit code.

    The answer is the pid, or the problem: of the image if its program is no Python.
    """
    if "argv" in order:
        # Before the fork, so that it is found once.
        try:
            _found(order["argv"][0])
        except (SyntaxError, ValueError):
            return _failed(is_the_images=True)
        except BaseException:
            return _failed(is_the_images=False)
    reading, writing = os.pipe()
    middle = os.fork()
    if middle == 0:
        child = os.fork()
        if child == 0:
            os.close(reading)
            os.close(writing)
            orders.close()
            os.setsid()
            if "argv" not in order:
                order, received = _prepared(order, received)
            _run(order, received)
        os.write(writing, str(child).encode())
        os._exit(0)
    os.close(writing)
    os.close(received)
    os.waitpid(middle, 0)
    pid = os.read(reading, 32)
    os.close(reading)
    return {"pid": int(pid)}


def _enter(groups: list[str]) -> None:
    """Move this process, which has one thread, into control groups: by the files they have."""
    for group in groups:
        # Without a file object, which would copy two hundred pages of the interpreter.
        number = os.open(group, os.O_WRONLY | os.O_CLOEXEC)
        os.write(number, b"0")
        os.close(number)


def _prepared(order: dict[str, Any], channel: int) -> tuple[dict[str, Any], int]:
    """Do what can be done before a launch is known, and give the launch's order and output."""
    try:
        _enter(order["cgroup_procs"])
        _prepare(order["prepare"])
        return _awaited(channel)
    except Exception:
        # The spawner sees the end, and forks the launch if it has given one.
        os._exit(1)


def _prepare(wanted: dict[str, Any] | None) -> None:
    """Call what the image's runner wants done before a launch is known, if it is imported."""
    name, _, function = ((wanted or {}).get("function") or "").partition(":")
    if wanted is not None and name in sys.modules:
        getattr(sys.modules[name], function)(wanted["variables"])


def _awaited(channel: int) -> tuple[dict[str, Any], int]:
    """Wait in a prepared process for its launch; end with the spawner or the interpreter."""
    with socket.socket(fileno=channel) as orders:
        found = _received(orders)
        if found is None:
            os._exit(0)
        # From now on its end is the launch's end. Raises OSError if the spawner has given it up.
        orders.sendall(str(os.getpid()).encode())
    return found


@cache
def _found(name: str) -> Program | None:
    """Return the program of an imported package, cached; None: each launch looks for its own."""
    if name not in sys.modules:
        return None
    try:
        spec = importlib.util.find_spec(f"{name}.__main__")
    except ImportError:
        return None
    if spec is None or not isinstance(spec.loader, InspectLoader):
        return None
    code = spec.loader.get_code(spec.name)
    return None if code is None else (spec, code)


def _run(order: dict[str, Any], output: int) -> NoReturn:
    """Run the launch in this process, as if newly started except for the imported modules."""
    try:
        _become(order, output)
    except Exception:
        traceback.print_exc()
        sys.exit(_TRY_AGAIN)
    program, code = _found(order["argv"][0]), 0
    try:
        if program is None:
            runpy.run_module(order["argv"][0], run_name="__main__", alter_sys=True)
        else:
            _execute(*program)
    except SystemExit as end:
        code = _code(end)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.exit(code)


def _become(order: dict[str, Any], output: int) -> None:
    """Give this process what a launch has of its own."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    _enter(order["cgroup_procs"])
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    random.seed()
    sys.argv[:] = order["argv"]


def _execute(spec: ModuleSpec, code: CodeType) -> None:
    """Run a program as `python -m` does."""
    main = module_from_spec(spec)
    main.__name__ = "__main__"
    sys.modules["__main__"] = main
    sys.argv[0] = spec.origin or ""
    exec(code, main.__dict__)


def _code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    sys.stderr.write(f"{end.code}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
