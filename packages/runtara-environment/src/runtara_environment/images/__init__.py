"""Images: what is checked when one is registered, and the copies that are run."""
