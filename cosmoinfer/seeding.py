"""Randomness: one seed a command, one stream a purpose.

A stream is named by what it is for, never by the order in which it is asked for; so a new purpose moves no other.
"""

import hashlib

import numpy as np


def derive_seed(seed: int, *purpose: object) -> int:
    """A 63-bit seed for this purpose: BLAKE2b of ``seed:word:word``, for generators that take an integer."""
    text = ":".join(str(word) for word in (seed, *purpose))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *purpose: object) -> np.random.Generator:
    """A counter-based generator (Philox) for this purpose; numpy's own seeding keeps its streams apart."""
    return np.random.Generator(np.random.Philox(derive_seed(seed, *purpose)))
