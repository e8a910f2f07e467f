"""From message to operation and back, one file a noun: translation, and nothing else."""
