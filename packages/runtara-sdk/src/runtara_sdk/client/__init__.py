"""The client: one instance's calls to the core, without the workflow layer."""
