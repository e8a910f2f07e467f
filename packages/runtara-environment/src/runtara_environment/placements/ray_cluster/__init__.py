"""
Launches on a Ray cluster.

`placement` is the environment's side, and imports nothing of Ray. It talks to `helper`, a process
of ours that is Ray's driver. The driver has a process of its own because Ray ends a driver's
process when the head of the cluster is gone. The helper keeps one `agent`, a detached named actor,
on every node. The agent launches processes by a spawner, as the local placement does.
"""
