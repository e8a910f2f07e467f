"""What `runtara dev` draws, on terminals that stand still or are gone."""

import os
import pty
import select

import pytest

from runtara_cli.development.screen import Screen


def read_until(terminal: int, text: bytes) -> bytes:
    """Read what is shown, until a text is."""
    shown = b""
    while text not in shown:
        assert select.select([terminal], [], [], 30)[0], shown[-200:]
        shown += os.read(terminal, 65536)
    return shown


def test_a_terminal_that_stands_still_stops_no_caller() -> None:
    """It stands still after Ctrl-S. After Ctrl-Q it shows the newest lines and states."""
    ours, theirs = pty.openpty()
    screen = Screen(theirs, is_terminal=True)
    os.write(ours, b"\x13")
    for number in range(20_000):
        screen.say(f"line {number}")
        screen.draw([f"drawn {number}"])
    os.write(ours, b"\x11")
    shown = read_until(ours, b"drawn 19999")
    screen.close(30)
    os.close(ours)
    os.close(theirs)

    assert b"line 19999" in shown
    assert shown.count(b"line ") < 20_000


def test_lines_are_drawn_again_in_their_place() -> None:
    """Below what is said; without a terminal only that is written."""
    for is_terminal in (True, False):
        reader, writer = os.pipe()
        screen = Screen(writer, is_terminal=is_terminal)
        screen.say("begin")
        read = read_until(reader, b"begin\n")
        screen.draw(["one", "two"])
        read += read_until(reader, b"two\n") if is_terminal else b""
        screen.say("said")
        screen.close(30)
        os.close(writer)
        read += os.read(reader, 65536)
        os.close(reader)

        drawn = b"one\ntwo\n" if is_terminal else b""
        erased = b"\x1b[2A\x1b[J" if is_terminal else b""
        assert read == b"begin\n" + drawn + erased + b"said\n" + drawn


def test_a_terminal_that_is_gone_is_an_error() -> None:
    """It is one for every other program, too."""
    reader, writer = os.pipe()
    os.close(reader)
    screen = Screen(writer, is_terminal=False)
    screen.say("lost")
    screen.close(30)
    os.close(writer)

    with pytest.raises(BrokenPipeError):
        screen.say("more")
