"""The client: one instance, as it talks to the core, without the workflow layer."""
