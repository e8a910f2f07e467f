"""
`python -m runtara_environment.placements.slurm_cluster.job FOLDER`: the batch job of a launch.

The job starts the process that `order.json` describes, once even if Slurm runs the job again. When
the process has ended, the job writes `ended.json`. While the process lives, the job touches
`begun`. So the environment knows that the process lives, even if Slurm has forgotten the job.
"""

import json
import logging
import os
import select
import signal
import sys
from pathlib import Path

from runtara_environment.spawner.cgroups import Limits, create
from runtara_environment.spawner.children import Child, start
from runtara_environment.spawner.frames import Message
from runtara_environment.spawner.machine import become_subreaper
from runtara_environment.spawner.output import OutputLog

ORDER, BEGUN, ENDED, KILL = "order.json", "begun", "ended.json", "kill"
_LOOK_MS = 500

logger = logging.getLogger(__name__)


def main(folder: Path) -> int:
    """Run a launch; return 0 once `ended.json` is written, or if another job runs this launch."""
    order = json.loads((folder / ORDER).read_text())
    try:
        os.close(os.open(folder / BEGUN, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        logger.warning("%s: another job runs this launch", folder)
        return 0
    become_subreaper()
    output = OutputLog(folder, order["max_log_bytes"])
    cgroup = create(order["cgroup"], Limits(**order["limits"]))
    try:
        child = start(
            order["launch_id"],
            order["argv"],
            order["env"],
            Path(order["cwd"]),
            output=output,
            cgroup=cgroup,
        )
    except OSError as error:
        _write(folder, {"refused": str(error)})
        return 0
    signal.signal(signal.SIGTERM, lambda *_: child.kill(signal.SIGTERM))
    _see_to_its_end(folder, child)
    ended = child.reap()
    _write(folder, ended.as_message())
    cgroup.remove()
    return 0


def _see_to_its_end(folder: Path, child: Child) -> None:
    poller = select.poll()
    poller.register(child.pidfd, select.POLLIN)
    poller.register(child.output.reader, select.POLLIN)
    while True:
        ready = {number for number, _ in poller.poll(_LOOK_MS)}
        if child.output.reader in ready and not child.output.pump():
            poller.unregister(child.output.reader)
        if child.pidfd in ready:
            return
        os.utime(folder / BEGUN)
        if (folder / KILL).exists():
            child.kill(signal.SIGKILL)


def _write(folder: Path, message: Message) -> None:
    new = folder / f"{ENDED}.new"
    new.write_text(json.dumps(message))
    new.replace(folder / ENDED)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
