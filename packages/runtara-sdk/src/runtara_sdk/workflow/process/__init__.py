"""The process of one run: the command, and how it begins, is interrupted and ends."""
