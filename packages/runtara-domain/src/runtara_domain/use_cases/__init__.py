"""What the core does, one class an operation, in the words of its ports."""
