"""The commands of Slurm that a placement needs."""

import asyncio
import logging
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from runtara_domain.model.images import Image
from runtara_environment.runners.port import limits_of

logger = logging.getLogger(__name__)

_ANSWER_S = 30
_FIELDS = "%i|%j|%k|%T|%r"


class SlurmRefused(Exception):
    """A command of Slurm failed; the message is what it says."""


@dataclass(frozen=True, slots=True)
class Job:
    """
    A job that Slurm knows.

    job_id: given twice after a crash of the controller, so of use beside the name only. state: its
    word, as PENDING. reason: why it waits, or has ended.
    """

    job_id: str
    name: str
    state: str
    reason: str

    @property
    def is_over(self) -> bool:
        """Whether it neither runs nor will."""
        return self.state not in _LIVING


_LIVING = frozenset(
    {
        "PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "STAGE_OUT",
        "SIGNALING", "RESIZING",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Slurm:
    """
    A cluster, asked by its commands. options: more of `sbatch`, as a partition's name.

    All raise SlurmRefused, also where the controller doesn't answer, or not in the known form.
    """

    options: Sequence[str] = ()

    async def submit(self, name: str, comment: str, arguments: Sequence[str], script: str) -> None:
        """Have a job run a script. A node that fails does not have it run again."""
        await _run(
            "sbatch",
            "--parsable",
            f"--job-name={name}",
            f"--comment={comment}",
            "--no-requeue",
            "--export=NIL",
            "--output=/dev/null",
            *arguments,
            *self.options,
            given=script,
        )

    async def jobs(self, prefix: str) -> Mapping[str, Job]:
        """
        Give the jobs whose names begin so, by their comments.

        Those that ended stay for some minutes.
        """
        answer = await _run("squeue", "--me", "--noheader", "--states=all", f"--format={_FIELDS}")
        found: dict[str, Job] = {}
        for line in answer.splitlines():
            try:
                job_id, name, comment, state, reason = line.split("|", 4)
            except ValueError as error:
                raise SlurmRefused(f"squeue: {line!r} is no job of the form {_FIELDS}") from error
            job = Job(job_id, name, state, reason)
            # Of two with one comment the one that lives counts.
            if name.startswith(prefix) and (comment not in found or not job.is_over):
                found[comment] = job
        return found

    async def idle_cpus(self) -> int:
        """Count the CPUs that no job has, of each node once a partition."""
        answer = await _run("sinfo", "--noheader", "--format=%C")
        # Allocated, idle, other and all of a partition.
        try:
            return sum(int(line.split("/")[1]) for line in answer.splitlines())
        except (IndexError, ValueError) as error:
            raise SlurmRefused(f"sinfo: {answer!r} is no line of A/I/O/T each") from error

    async def signal(self, name: str, *arguments: str) -> None:
        """`scancel` the jobs of this name, if there are any."""
        await _run("scancel", "--quiet", f"--name={name}", *arguments)


def script_of(argv: Sequence[str]) -> str:
    """Give a batch script that becomes a program."""
    return f"#!/bin/sh\nexec {shlex.join(argv)}\n"


def asked(image: Image) -> list[str]:
    """Give the options of `sbatch` that book what an image asks for."""
    memory, cpus = limits_of(image)
    found = [] if memory is None else [f"--mem={ceil(memory / 1024 / 1024)}M"]
    return found if cpus is None else [*found, f"--cpus-per-task={ceil(cpus)}"]


def in_words(image: Image) -> str:
    """Say that Slurm has no room for what an image asks for."""
    memory, cpus = limits_of(image)
    said = "no memory" if memory is None else f"{ceil(memory / 1024 / 1024)} MiB of memory"
    return f"Slurm takes no job that asks for {said} and {ceil(cpus or 1)} CPUs"


async def _run(*argv: str, given: str = "") -> str:
    def call() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            argv, input=given, capture_output=True, text=True, timeout=_ANSWER_S, check=False
        )

    try:
        done = await asyncio.to_thread(call)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SlurmRefused(f"{argv[0]}: {error}") from error
    if done.returncode != 0:
        raise SlurmRefused(done.stderr.strip() or f"{argv[0]} ended with {done.returncode}")
    return done.stdout
