"""What the commands do, as functions for Python: one file a task; typed settings in, nouns out.

A task prints nothing: it reports to a ``Reporter``. It knows no command line.
"""
