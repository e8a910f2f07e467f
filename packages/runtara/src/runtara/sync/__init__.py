"""
Durable workflows of plain functions, and a client without a loop.

The code of a workflow runs in a thread, and so do its steps. The options, the errors and the saved
data are the same as those of `runtara`: each can continue instances of the other.
"""

import asyncio

import runtara.worker
from runtara.sync.client import Client, Forked, Handle, connect
from runtara.sync.durable import Step, child, continue_as_new, get, now, sleep, step, workflow
from runtara.threads import limit_threads
from runtara.worker import AnyWorkflow, Isolation
from runtara_sdk.workflow.duration import Duration


def serve(
    *workflows: AnyWorkflow,
    concurrency: int = 50,
    threads: int = 40,
    grace: Duration = "10s",
    isolate: Isolation | None = None,
    where: str | None = None,
    tenant: str | None = None,
) -> None:
    """
    Run a worker until SIGTERM or Ctrl-C, as `runtara.serve` does.

    `threads`: the most threads of workflows that run at once in a process. A thread whose workflow
    waits in a durable call does not count.
    """
    asyncio.run(
        runtara.worker.serve(
            *workflows,
            concurrency=concurrency,
            threads=threads,
            grace=grace,
            isolate=isolate,
            where=where,
            tenant=tenant,
        )
    )


__all__ = [
    "Client",
    "Forked",
    "Handle",
    "Step",
    "child",
    "connect",
    "continue_as_new",
    "get",
    "limit_threads",
    "now",
    "serve",
    "sleep",
    "step",
    "workflow",
]
