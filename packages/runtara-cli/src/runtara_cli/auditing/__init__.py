"""`runtara audit`: finds rows that no healthy database has, and instances that nothing moves."""
