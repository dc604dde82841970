"""Figures of posteriors, evaluations and training histories (PLOTS). The only folder that imports matplotlib, getdist.

A new figure is one function in the file of its family and one entry in the table of ``registry``.
"""

from cosmoinfer.plots.cross_suite import plot_cross_suite
from cosmoinfer.plots.figure_data import FigureData
from cosmoinfer.plots.registry import PLOTS, caption, check_folder, draw, render, save
from cosmoinfer.plots.scaling import plot_learning_curve

__all__ = [
    "PLOTS",
    "FigureData",
    "caption",
    "check_folder",
    "draw",
    "plot_cross_suite",
    "plot_learning_curve",
    "render",
    "save",
]
