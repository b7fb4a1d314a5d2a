"""How long the things of attnzoo take: suites for pytest-benchmark, and the gate that compares two revisions."""
