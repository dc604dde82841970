"""Packages that only an export needs, and that need not be installed: imported when they are used."""

import warnings
from importlib import import_module
from types import ModuleType

from cosmoinfer.errors import UserError


def required(package: str, purpose: str) -> ModuleType:
    """The package. Raises UserError, which names the extra that brings it, where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what its authors plan
            return import_module(package)
    except ImportError as error:
        raise UserError(
            f"{purpose} requires {package}, which is not installed ({error}); `pip install 'cosmoinfer[export]'` "
            "brings it"
        ) from error
