"""Orders to a warm interpreter, and to a process that it has prepared."""

import array
import json
import socket
from collections.abc import Mapping
from typing import Any


def send(channel: socket.socket, order: Mapping[str, Any], descriptor: int) -> None:
    """Send an order with a file descriptor; raises OSError if nothing receives it."""
    line = json.dumps(order).encode() + b"\n"
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
    sent = channel.sendmsg([line], [rights])
    if sent < len(line):
        # Only then: a receiver that has the whole order may have closed its end.
        channel.sendall(line[sent:])
