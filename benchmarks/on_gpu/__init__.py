"""The rows of the speed table that want a GPU: `benchmarks/gpu.py` measures them all and writes one JSON."""
