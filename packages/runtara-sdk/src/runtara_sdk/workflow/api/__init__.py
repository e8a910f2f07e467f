"""What workflow code calls: workflows, steps, groups, timers, promises and recorded values."""
