"""The commands of Slurm that a placement needs."""

import asyncio
import logging
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from runtara_domain.model.stored_images import Image
from runtara_environment.runners.port import limits_of

logger = logging.getLogger(__name__)

_ANSWER_S = 30
_FIELDS = "%i|%j|%k|%T|%r"


class SlurmRefused(Exception):
    """A command of Slurm failed; the message is the command's error output."""


@dataclass(frozen=True, slots=True)
class Job:
    """
    A job that Slurm knows.

    job_id: after a crash of its controller Slurm may give an id again, so the id identifies a job
    only together with the name. state: Slurm's word, such as PENDING. reason: why the job waits, or
    has ended.
    """

    job_id: str
    name: str
    state: str
    reason: str

    @property
    def is_over(self) -> bool:
        """Whether the job has ended, and will not run again."""
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
    A cluster, controlled by Slurm's commands.

    options: further options of `sbatch`, such as a partition. Each method raises SlurmRefused if
    the command fails, if the controller does not answer, or if its output has an unknown form.
    """

    options: Sequence[str] = ()

    async def submit(self, name: str, comment: str, arguments: Sequence[str], script: str) -> None:
        """Submit a job that runs a script; if its node fails, Slurm does not run it again."""
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
        Return the jobs whose names have this prefix, by their comments.

        Slurm also lists jobs that ended in the last minutes.
        """
        answer = await _run("squeue", "--me", "--noheader", "--states=all", f"--format={_FIELDS}")
        found: dict[str, Job] = {}
        for line in answer.splitlines():
            try:
                job_id, name, comment, state, reason = line.split("|", 4)
            except ValueError as error:
                raise SlurmRefused(
                    f"squeue: a line takes the form {_FIELDS}, got {line!r}"
                ) from error
            job = Job(job_id, name, state, reason)
            # If two jobs have the same comment, the one that is not over counts.
            if name.startswith(prefix) and (comment not in found or not job.is_over):
                found[comment] = job
        return found

    async def idle_cpus(self) -> int:
        """Return the number of CPUs without a job; a node counts once in each of its partitions."""
        answer = await _run("sinfo", "--noheader", "--format=%C")
        # A line has the allocated, idle, other and total CPUs of a partition.
        try:
            return sum(int(line.split("/")[1]) for line in answer.splitlines())
        except (IndexError, ValueError) as error:
            raise SlurmRefused(f"sinfo: a line takes the form A/I/O/T, got {answer!r}") from error

    async def signal(self, name: str, *arguments: str) -> None:
        """Call `scancel` for the jobs of this name, if there are any."""
        await _run("scancel", "--quiet", f"--name={name}", *arguments)


def script_of(argv: Sequence[str]) -> str:
    """Return a batch script that replaces itself by a program."""
    return f"#!/bin/sh\nexec {shlex.join(argv)}\n"


def asked(image: Image) -> list[str]:
    """Return the options of `sbatch` that request an image's memory and CPUs."""
    memory, cpus = limits_of(image)
    found = [] if memory is None else [f"--mem={ceil(memory / 1024 / 1024)}M"]
    return found if cpus is None else [*found, f"--cpus-per-task={ceil(cpus)}"]


def in_words(image: Image) -> str:
    """Return the sentence that Slurm refuses a job with an image's memory and CPUs."""
    memory, cpus = limits_of(image)
    said = "no memory" if memory is None else f"{ceil(memory / 1024 / 1024)} MiB of memory"
    return f"Slurm accepts no job that asks for {said} and {ceil(cpus or 1)} CPUs"


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
        raise SlurmRefused(done.stderr.strip() or f"{argv[0]} failed: exit code {done.returncode}")
    return done.stdout
