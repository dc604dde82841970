"""Likelihoods: trained models bound to observations, as functions of the parameters, and their file."""

from cosmoinfer.likelihoods.file import SCHEMA, read, write
from cosmoinfer.likelihoods.likelihood import Likelihood, bind

__all__ = ["SCHEMA", "Likelihood", "bind", "read", "write"]
