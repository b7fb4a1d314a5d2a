"""The gate on speed: two revisions, timed in turns. `python -m benchmarks.gate --against REV`."""
