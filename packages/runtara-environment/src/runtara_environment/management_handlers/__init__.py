"""From message to stored step and back, one file a noun."""
