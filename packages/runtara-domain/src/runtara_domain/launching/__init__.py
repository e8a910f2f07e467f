"""What an environment and a worker decide about launches; no process, socket or database here."""
