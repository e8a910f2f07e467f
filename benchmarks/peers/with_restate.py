"""Durable steps with Restate: its server, its SDK on hypercorn; see `benchmarks.steps`."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import restate
import uvloop
from hypercorn.asyncio import serve as hypercorn
from hypercorn.config import Config
from serving import RESULT, serve

HOST = "127.0.0.1"
PATIENCE = 60.0  # seconds

service = restate.Service("bench")


async def work(number: int) -> str:
    """Do nothing."""
    return RESULT


@service.handler()
async def steps(context: restate.Context, count: int) -> int:
    """Take one step after the other."""
    for number in range(count):
        await context.run_typed("work", work, number=number)
    return count


@asynccontextmanager
async def restate_server(ingress: str, admin: str, command: list[str]) -> AsyncIterator[None]:
    """Run its server in a folder of its own, set up as it comes but for its addresses."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={
                **os.environ,
                "RESTATE_BASE_DIR": folder,
                "RESTATE_INGRESS__BIND_ADDRESS": ingress,
                "RESTATE_ADMIN__BIND_ADDRESS": admin,
                "RESTATE_BIND_PORT": str(_free_port()),
                "RESTATE_LISTEN_MODE": "tcp",
                "RESTATE_LOG_FILTER": "error",
                "DO_NOT_TRACK": "1",
            },
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield
        finally:
            # With the shell that npx starts it by; what it kept goes with its folder.
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def main(command: list[str]) -> None:
    """Serve the workflow to a server of its own, and measure through that one's door."""
    ingress, admin, own = (f"{HOST}:{_free_port()}" for _ in range(3))
    config = Config()
    config.bind = [own]
    stop = asyncio.Event()
    serving = asyncio.create_task(
        hypercorn(restate.app([service]), config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]
    )
    async with (
        restate_server(ingress, admin, command),
        httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None)) as http,
    ):
        await _registered(http, f"http://{admin}/deployments", f"http://{own}")

        async def run(at_once: int, count: int) -> float:
            start = time.perf_counter()
            url = f"http://{ingress}/bench/steps"
            answers = await asyncio.gather(*(http.post(url, json=count) for _ in range(at_once)))
            seconds = time.perf_counter() - start
            assert [answer.json() for answer in answers] == [count] * at_once
            return seconds

        await serve(run)
    stop.set()
    await serving


async def _registered(http: httpx.AsyncClient, deployments: str, service_url: str) -> None:
    """Tell the server of the workflow, once it is up."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            answer = await http.post(deployments, json={"uri": service_url})
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.is_success:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"Restate's server takes no deployment: {answer and answer.text}")
        await asyncio.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as unused:
        unused.bind((HOST, 0))
        port: int = unused.getsockname()[1]
        return port


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
