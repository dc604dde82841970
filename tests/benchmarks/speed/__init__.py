"""How fast everything is, beside peers and beside what it cannot be faster than; run by ``python -m tests.benchmarks``.

A file is a section: ``measure(task) -> Report``.
"""
