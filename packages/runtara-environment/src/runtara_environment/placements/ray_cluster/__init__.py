"""
Launches on a Ray cluster.

`placement` is the environment's side, and imports nothing of Ray. It talks to `helper`, a process
of ours that is Ray's driver: Ray ends the process of a driver that has lost its head. The helper
keeps one `agent`, a detached named actor, on every node; the agent launches by a spawner, as on
this machine.
"""
