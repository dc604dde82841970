"""Findings of the fuzz, each of which once was a traceback, a hang, a crash or other numbers, and stays mended."""
