"""
The least that a launch may cost, as a bare script: a warm interpreter that forks.

Its arguments are the core's address and the PEM file of the authority to trust: as a launch's
process, it looks whose certificate it is shown. Each fork makes a QUIC handshake, registers its
instance and saves one checkpoint; it knows nothing of workflows, settings or signals. A line of
input is `COUNT AT_ONCE PREFIX`; the answer is a line of JSON with the seconds from each fork to its
saved checkpoint, the seconds of CPU that each forked process used, and the seconds that all took.
"""

import asyncio
import gc
import json
import os
import struct
import sys
import time
from pathlib import Path
from typing import NoReturn

from runtara_protocol.frame import FrameDecoder, MessageType, encode
from runtara_protocol.pb import instance_pb2 as pb
from runtara_protocol.quic.client import ClientConnection, ClientSettings, connect

_MOMENT = struct.Struct("d")


async def _ask(connection: ClientConnection, request: pb.RpcRequest) -> pb.RpcResponse:
    frame = encode(MessageType.REQUEST, request.SerializeToString())
    decoder = FrameDecoder(frozenset({MessageType.RESPONSE}))
    payload = decoder.feed(await connection.exchange(frame))
    assert payload is not None
    return pb.RpcResponse.FromString(payload)


async def _launch(settings: ClientSettings, instance_id: str) -> None:
    connection = await connect(settings)
    register = pb.RegisterInstanceRequest(instance_id=instance_id, tenant_id="floor")
    answer = await _ask(connection, pb.RpcRequest(register_instance=register))
    assert answer.register_instance.success, answer
    checkpoint = pb.CheckpointRequest(instance_id=instance_id, checkpoint_id="one", state=b"1")
    answer = await _ask(connection, pb.RpcRequest(checkpoint=checkpoint))
    assert answer.WhichOneof("response") == "checkpoint", answer


def _forked(settings: ClientSettings, instance_id: str, writing: int) -> NoReturn:
    try:
        asyncio.run(_launch(settings, instance_id))
        os.write(writing, _MOMENT.pack(time.monotonic()))
        os._exit(0)
    finally:
        os._exit(1)


def _measured(settings: ClientSettings, count: int, at_once: int, prefix: str) -> dict[str, object]:
    began = time.monotonic()
    living: dict[int, tuple[float, int]] = {}
    seconds: list[float] = []
    cpu: list[float] = []
    for number in range(count):
        if len(living) == at_once:
            _take_one(living, seconds, cpu)
        reading, writing = os.pipe()
        forked_at = time.monotonic()
        pid = os.fork()
        if pid == 0:
            _forked(settings, f"{prefix}{number}", writing)
        os.close(writing)
        living[pid] = forked_at, reading
    while living:
        _take_one(living, seconds, cpu)
    return {"seconds": seconds, "cpu": cpu, "all": time.monotonic() - began}


def _take_one(living: dict[int, tuple[float, int]], seconds: list[float], cpu: list[float]) -> None:
    pid, status, usage = os.wait4(-1, 0)
    if status != 0:
        raise RuntimeError("a forked process failed: what it wrote is above")
    forked_at, reading = living.pop(pid)
    seconds.append(_MOMENT.unpack(os.read(reading, _MOMENT.size))[0] - forked_at)
    os.close(reading)
    cpu.append(usage.ru_utime + usage.ru_stime)


def main() -> None:
    """Serve lines of input until it ends."""
    host, port = sys.argv[1].rsplit(":", 1)
    settings = ClientSettings(host=host, port=int(port), ca_path=Path(sys.argv[2]))
    # What a client imports late, or makes once.
    _measured(settings, 1, 1, "warm")
    gc.freeze()
    for line in sys.stdin:
        count, at_once, prefix = line.split()
        print(json.dumps(_measured(settings, int(count), int(at_once), prefix)), flush=True)


if __name__ == "__main__":
    main()
