"""Likelihoods: trained models bound to observations, as functions of the parameters, and their file."""

from cosmoinfer.likelihoods.anomaly import anomaly_lines
from cosmoinfer.likelihoods.file import SCHEMA, read, write
from cosmoinfer.likelihoods.likelihood import BINDINGS, Likelihood, bind, missing_likelihood

__all__ = ["BINDINGS", "SCHEMA", "Likelihood", "anomaly_lines", "bind", "missing_likelihood", "read", "write"]
