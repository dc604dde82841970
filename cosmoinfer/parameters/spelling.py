"""Parameters under the names that others spell in another way, ``sigma_8`` for ``sigma8``."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cosmoinfer.latex import match_spellings
from cosmoinfer.parameters.parameters import Parameters


def spell_as(parameters: Parameters, preferred: Sequence[str]) -> tuple[Parameters, dict[str, str]]:
    """The parameters of a chain with the preferred names for those of the same symbol, and these by the chain's names.

    Raises UserError where several of one symbol leave it open which are the same.
    """
    spellings = match_spellings(parameters.names, preferred)
    return replace(parameters, names=tuple(spellings.get(name, name) for name in parameters.names)), spellings


def describe_spellings(spellings: Mapping[str, str]) -> list[str]:
    """A clause for each name of a chain that is spelled in another way."""
    return [f"{name} of the chain is {preferred}" for name, preferred in spellings.items()]
