"""The API for workflow code: workflows, steps, groups, timers, promises and recorded values."""
