"""Layers that start from training rows, and how a network is handed them."""

from collections.abc import Callable

import torch
from torch import nn

from cosmoinfer.flows.transform import Transform
from cosmoinfer.networks.dense import Dropout

MIN_STD = 1e-6  # a dimension that varies less keeps its scale


class DataInitialised(Transform):
    """A layer whose weights start from training rows: from the first inputs that it sees while ``initialising``.

    Data-dependent initialisation (Salimans & Kingma, arXiv:1602.07868, section 3).
    """

    initialising = False


def initialise(network: nn.Module, run_once: Callable[[], object]) -> None:
    """Start each such layer of a network from what reaches it during ``run_once``, one pass over training rows.

    The more rows the better, and 256 at least: a regression on many numbers needs them. Nothing drops out meanwhile; a
    network without such layers is left alone, its streams of random numbers too.
    """
    layers = [module for module in network.modules() if isinstance(module, DataInitialised)]
    if not layers:
        return
    dropouts = [module for module in network.modules() if isinstance(module, Dropout)]
    for layer in layers:
        layer.initialising = True
    for dropout in dropouts:
        dropout.eval()
    try:
        with torch.no_grad():
            run_once()
    finally:
        for layer in layers:
            layer.initialising = False
        for dropout in dropouts:
            dropout.train()
