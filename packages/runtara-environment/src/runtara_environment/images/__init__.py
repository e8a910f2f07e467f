"""Images: checks at registration, and the unpacked copies that are run."""
