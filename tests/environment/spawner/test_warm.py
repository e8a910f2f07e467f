"""Launches forked from a warm interpreter."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.environment.spawner.conftest import SpawnerClient, SpawnerProcess

from runtara_environment.spawner import interpreter

IMAGE = """
import os, random, sys
LOADED_BY = os.getpid()

if __name__ == "__main__":
    sys.modules["__main__"].__dict__
"""
PROGRAM = """
import os, random, sys
import children as image
print("imported here" if image.LOADED_BY == os.getpid() else "imported before")
print(sys.argv[1:], os.environ["WORD"], os.getcwd())
print(random.random())
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def image(tmp_path: Path) -> dict[str, Any]:
    """An image's code, named as a module of the spawner is, and how to start its interpreter."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "children.py").write_text(IMAGE)
    (tmp_path / "code" / "program.py").write_text(PROGRAM)
    return {
        "key": "image-1",
        "python": sys.executable,
        "modules": ["children"],
        "env": {"PYTHONPATH": str(tmp_path / "code"), "PATH": os.environ["PATH"]},
        "cwd": str(tmp_path / "code"),
    }


def launch(
    spawner: SpawnerProcess, client: SpawnerClient, name: str, image: dict[str, Any], *argv: str
) -> dict[str, Any]:
    env = {"WORD": f"word of {name}", "PATH": os.environ["PATH"]}
    return spawner.launch(client, name, "program", *argv, warm=image, env=env)


def test_a_launch_finds_its_image_imported(
    spawner: SpawnerProcess, client: SpawnerClient, image: dict[str, Any]
) -> None:
    """It has arguments, variables, folder, output, random numbers and exit code of its own."""
    for number in (3, 4):
        launch(spawner, client, f"l{number}", image, str(number))

    ends = [client.ended(f"l{number}")["exit_code"] for number in (3, 4)]
    logs = [(spawner.folder / f"l{n}" / "stderr.log").read_text().splitlines() for n in (3, 4)]

    assert ends == [3, 4]
    for number, log in zip((3, 4), logs, strict=True):
        folder = spawner.folder / f"l{number}"
        assert log[:2] == [
            "imported before",
            f"['{number}'] word of l{number} {folder}",
        ]
    assert logs[0][2] != logs[1][2]


def test_a_package_runs_as_python_m_runs_it(
    spawner: SpawnerProcess, client: SpawnerClient, image: dict[str, Any]
) -> None:
    """Its program is found once; a module of the spawner's own name hides none of the image's."""
    package = Path(image["cwd"]) / "frames"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        "import sys\nprint(__name__, __spec__.name, __package__, sys.argv[1:])\n"
        "assert sys.argv[0] == __file__ and sys.modules['__main__'].__dict__ is globals()\n"
    )
    env = {"PATH": os.environ["PATH"]}

    for number in ("1", "2"):
        warm = {**image, "modules": ["frames"]}
        spawner.launch(client, f"l{number}", "frames", number, warm=warm, env=env)

        assert client.ended(f"l{number}")["exit_code"] == 0
        log = (spawner.folder / f"l{number}" / "stderr.log").read_text()
        assert log == f"__main__ frames.__main__ frames ['{number}']\n"


def test_a_program_that_is_no_python_says_so(
    spawner: SpawnerProcess, client: SpawnerClient, image: dict[str, Any]
) -> None:
    """It is compiled before the fork. Corrected, it is launched by a new interpreter."""
    package = Path(image["cwd"]) / "broken"
    package.mkdir()
    (package / "__init__.py").touch()
    program = package / "__main__.py"
    program.write_text("def x(:\n")
    warm = {**image, "modules": ["broken"]}

    answer = spawner.launch(client, "a", "broken", warm=warm)

    assert answer["problem"] == "import"
    assert "SyntaxError" in answer["error"]
    assert str(program) in answer["error"]
    program.write_text("raise SystemExit(7)")
    assert "ok" in spawner.launch(client, "b", "broken", warm=warm)
    assert client.ended("b")["exit_code"] == 7


def test_a_forked_launch_can_be_killed(
    spawner: SpawnerProcess, client: SpawnerClient, image: dict[str, Any]
) -> None:
    """Its signal is reported, and the interpreter serves the next launch."""
    (Path(image["cwd"]) / "program.py").write_text("import time; time.sleep(1000)")
    launch(spawner, client, "a", image)
    client.ask(do="signal", launch_id="a", signal=signal.SIGKILL)

    assert client.ended("a")["signal"] == 9
    assert launch(spawner, client, "b", image)["ok"]["pid"]


@pytest.mark.parametrize(
    ("code", "problem", "text"),
    [
        ("1 / 0", "import", "ZeroDivisionError"),
        ("raise SystemExit(3)", "import", "SystemExit"),
        ("import threading; threading.Thread(target=input, daemon=True).start()", "", ""),
        (
            "import threading, time; threading.Thread(target=time.sleep, args=(99,), daemon=True)"
            ".start()",
            "threads",
            "threads",
        ),
        ("import socket; s = socket.socket()", "sockets", "socket:"),
        (
            "import os; os._exit(9)",
            "import",
            "the import of children ended Python with exit code 9",
        ),
        ("import os; os.kill(os.getpid(), 11)", "import", "ended Python with signal 11"),
        ("import os; os.kill(os.getpid(), 9)", "ended", "exit code -9"),
        ("raise MemoryError", "ended", "MemoryError"),
        ("import errno; raise OSError(errno.EMFILE, 'no more')", "ended", "no more"),
        ("open('/gone')", "import", "FileNotFoundError"),
    ],
)
def test_an_image_that_can_not_be_forked_says_why(
    spawner: SpawnerProcess,
    client: SpawnerClient,
    image: dict[str, Any],
    code: str,
    problem: str,
    text: str,
) -> None:
    """If its import failed, there is a traceback. An ended thread is no reason."""
    (Path(image["cwd"]) / "children.py").write_text(IMAGE + code)

    answer = launch(spawner, client, "a", image, "0")

    if not problem:
        assert "ok" in answer or answer["problem"] == "threads"
        return
    assert answer["problem"] == problem
    assert text in answer["error"]


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (SyntaxError("no Python"), "import"),
        (ValueError("a null byte"), "import"),
        (OSError(errno.EIO, "a disk fails"), "ended"),
        (MemoryError("none is left"), "ended"),
        (AttributeError("half installed"), "ended"),
    ],
)
def test_only_a_program_that_is_no_python_is_the_images_fault(
    monkeypatch: pytest.MonkeyPatch, error: Exception, problem: str
) -> None:
    """After any other error the launch is tried again."""

    def found(_name: str) -> None:
        raise error

    monkeypatch.setattr(interpreter, "_found", found)
    ours, its = socket.socketpair()
    with ours, its:
        answer = interpreter._launched(ours, {"argv": ["program"]}, its.fileno())

    assert (answer["problem"], str(error) in answer["text"]) == (problem, True)


def test_a_machine_without_files_for_the_check_is_not_the_images_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the import left can't be looked at then."""

    def listed(_path: str) -> list[str]:
        raise OSError(errno.EMFILE, "no more")

    monkeypatch.setattr(os, "listdir", listed)

    answer = interpreter._checked(-1)

    assert answer is not None
    assert (answer["problem"], "no more" in answer["text"]) == ("ended", True)


def test_a_thread_that_is_about_to_be_forgotten_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may still list one for a moment that was joined."""
    tasks = iter([["1", "2"], ["1", "2"], ["1"]])
    monkeypatch.setattr(os, "listdir", lambda of: next(tasks) if of == "/proc/self/task" else [])

    assert interpreter._unforkable(-1) is None


def test_a_slow_import_holds_up_only_its_own_launches(
    spawner: SpawnerProcess, client: SpawnerClient, image: dict[str, Any]
) -> None:
    """The spawner serves others meanwhile."""
    go = spawner.folder / "go"
    code = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    (Path(image["cwd"]) / "children.py").write_text(code + IMAGE)
    env = {"WORD": "w", "PATH": os.environ["PATH"]}
    orders = [spawner.order(name, "program", "0", warm=image, env=env) for name in ("a", "b")]
    numbers = [client.send(**order) for order in orders]

    spawner.launch(client, "c", "/bin/true")
    assert client.ended("c")["exit_code"] == 0
    go.touch()

    pids = {client.expect(lambda one, n=n: one.get("id") == n)["ok"]["pid"] for n in numbers}  # type: ignore[misc]  # A default binds n.
    assert len(pids) == 2


def test_an_interpreter_that_died_is_replaced(
    spawner: SpawnerProcess, client: SpawnerClient, image: dict[str, Any]
) -> None:
    """The launch after it finds a new one."""
    (Path(image["cwd"]) / "program.py").write_text("import os; os.kill(os.getppid(), 0)")
    (Path(image["cwd"]) / "children.py").write_text(
        IMAGE + "open('interpreter', 'w').write(str(os.getpid()))"
    )
    launch(spawner, client, "a", image)
    client.ended("a")
    os.kill(int((Path(image["cwd"]) / "interpreter").read_text()), signal.SIGKILL)

    answers = [launch(spawner, client, f"b{number}", image) for number in range(2)]

    assert "ok" in answers[-1]
    assert all("ok" in answer or answer["problem"] == "ended" for answer in answers)


def test_only_so_many_interpreters_stay(
    spawner: SpawnerProcess, client: SpawnerClient, image: dict[str, Any], tmp_path: Path
) -> None:
    """With more images, the interpreter that was unused longest ends. Its launches live on."""
    few = SpawnerProcess(tmp_path / "code", "--max-warm", "1")
    asking = few.client()
    (Path(image["cwd"]) / "program.py").write_text("import time; time.sleep(1000)")
    (Path(image["cwd"]) / "children.py").write_text(
        IMAGE + "open('interpreters', 'a').write(f'{os.getpid()} ')"
    )
    for number in (1, 2):
        answer = launch(few, asking, f"l{number}", {**image, "key": f"image-{number}"})
        assert "ok" in answer

    first, second = map(int, (Path(image["cwd"]) / "interpreters").read_text().split())
    alive = {pid for pid in (first, second) if Path(f"/proc/{pid}").exists()}
    launches = asking.ask(do="hello")["ok"]["launches"]
    few.close()

    assert alive == {second}
    assert {one["launch_id"] for one in launches} == {"l1", "l2"}


@pytest.mark.parametrize(("folder", "code"), [("/", 7), ("/gone", 4)])
def test_an_order_of_an_older_spawner_is_understood(tmp_path: Path, folder: str, code: int) -> None:
    """That spawner may live on after an upgrade. What fails before the image's code ends with 4."""
    (tmp_path / "program.py").write_text("import sys; sys.exit(7)")
    order = {"argv": ["program"], "env": {}, "cwd": folder, "cgroup_procs": []}
    script = (
        "import json, os, sys\nfrom runtara_environment.spawner.interpreter import _run\n"
        "_run(json.loads(sys.argv[1]), os.dup(1))"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script, json.dumps(order)],
        env={"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        check=False,
    )

    assert ended.returncode == code
    assert (b"/gone" in ended.stdout) == (code == 4)


def test_a_launch_without_an_interpreter_leaves_nothing(
    spawner: SpawnerProcess, client: SpawnerClient, image: dict[str, Any]
) -> None:
    """Its descriptors are closed, and orphans are reaped as ever."""
    launch(spawner, client, "a", image, "0")
    client.ended("a")
    client.ask(do="confirm", launch_id="a")
    before = len(os.listdir(f"/proc/{spawner.process.pid}/fd"))

    for number in range(3):
        gone = {**image, "key": "gone", "python": "/gone/python"}
        assert "FileNotFoundError" in launch(spawner, client, f"b{number}", gone, "0")["error"]

    assert len(os.listdir(f"/proc/{spawner.process.pid}/fd")) <= before
    assert "unknown" in client.ask(do="signal", launch_id="b0", signal=signal.SIGTERM)["error"]
