"""cosmoinfer: from a catalog of cosmological simulations to a calibrated posterior."""

__version__ = "0.1.0"
