"""Figures of posteriors, evaluations and training histories (PLOTS). The only folder that imports matplotlib, getdist.

A new figure is one function in the file of its family and one entry in the table of ``registry``.
"""

from cosmoinfer.plots.cross_suite import plot_cross_suite
from cosmoinfer.plots.figure_data import FigureData
from cosmoinfer.plots.labels import typeset
from cosmoinfer.plots.registry import PLOTS, caption, check_folder, check_replaceable, draw, figure_format, render, save
from cosmoinfer.plots.scaling import plot_learning_curve
from cosmoinfer.plots.triangle import MAX_CORNER_PARAMETERS, typical_row

__all__ = [
    "MAX_CORNER_PARAMETERS",
    "PLOTS",
    "FigureData",
    "caption",
    "check_folder",
    "check_replaceable",
    "draw",
    "figure_format",
    "plot_cross_suite",
    "plot_learning_curve",
    "render",
    "save",
    "typeset",
    "typical_row",
]
