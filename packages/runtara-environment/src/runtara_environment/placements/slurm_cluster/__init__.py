"""
Launches on a Slurm cluster, whose nodes and whose environment share a folder.

A launch is a batch job that runs `job`: it starts the process, and writes how it ended into the
launch's folder. Slurm's own word counts only where that is missing.
"""
