"""
Launches on a Slurm cluster. The cluster's nodes and the environment share a folder.

A launch is a batch job that runs the module `job`. The job starts the process, and writes how the
process ended into the launch's folder. Slurm's own report counts only if this file is missing.
"""
