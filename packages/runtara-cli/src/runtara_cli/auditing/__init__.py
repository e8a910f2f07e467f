"""`runtara audit`: what no healthy database holds, and instances that nothing will move."""
