"""A Slurm cluster of two nodes on this machine, all on loopback: Debian's slurmctld and slurmd."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

CONFIG = """
ClusterName=runtara
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=10000
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerNode=16
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
KillWait=2
MessageTimeout=5
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdSpoolDir={folder}/spool-%n
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
NodeName=n1 NodeAddr=127.0.0.1 NodeHostname=localhost Port={ports[1]} CPUs=8 RealMemory=4000
NodeName=n2 NodeAddr=127.0.0.1 NodeHostname=localhost Port={ports[2]} CPUs=8 RealMemory=4000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""
NODES = ("n1", "n2")


class SlurmCluster:
    """A running cluster; `SLURM_CONF` must name its `config`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.config = folder, folder / "slurm.conf"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start_controller(self) -> None:
        """Start the controller."""
        self._start("slurmctld", "-D", "-i")

    def start_node(self, name: str) -> None:
        """Start a node's daemon."""
        self._start(name, "-D", "-N", name)

    def _start(self, name: str, *arguments: str) -> None:
        program = shutil.which("slurmctld" if name == "slurmctld" else "slurmd", path="/usr/sbin")
        assert program is not None, "apt-get install slurmctld slurmd slurm-client"
        with (self.folder / f"{name}.out").open("ab") as out:
            self._processes[name] = subprocess.Popen(
                [program, *arguments],
                env={**os.environ, "SLURM_CONF": str(self.config)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """SIGKILL the controller, or a node's daemon; jobs live on."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def states(self) -> dict[str, str]:
        """Give the state of each node; empty where the controller doesn't answer."""
        done = subprocess.run(
            ["sinfo", "--noheader", "--Node", "--format=%N %T"],
            env={**os.environ, "SLURM_CONF": str(self.config)},
            capture_output=True,
            text=True,
            check=False,
        )
        return dict(line.split() for line in done.stdout.splitlines())

    def wait_until_idle(self, patience: float = 60) -> None:
        """Wait until all nodes can be given jobs."""
        until = time.monotonic() + patience
        while set(self.states().values()) - {"idle", "mixed", "allocated"} or not self.states():
            assert time.monotonic() < until, self.states()
            time.sleep(0.1)

    def end(self) -> None:
        """Kill all that is left."""
        for name in list(self._processes):
            self.kill(name)


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[SlurmCluster]:
    """Run a cluster in a folder."""
    (folder / "state").mkdir()
    cluster = SlurmCluster(folder)
    user = pwd.getpwuid(os.getuid()).pw_name
    cluster.config.write_text(CONFIG.format(folder=folder, user=user, ports=free_ports(3)))
    try:
        cluster.start_controller()
        for node in NODES:
            (folder / f"spool-{node}").mkdir()
            cluster.start_node(node)
        cluster.wait_until_idle()
        yield cluster
    finally:
        cluster.end()


def free_ports(count: int) -> list[int]:
    """Give TCP ports that nothing listens on."""
    sockets = [socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    found = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return found
