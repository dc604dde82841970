"""Posterior, metrics and learning curves -> figures (PLOTS). The only folder that imports matplotlib and getdist.

Adding one is a function in the file of its family and an entry in the table of ``gallery``.
"""

from cosmoinfer.plots.cross_suite import cross
from cosmoinfer.plots.figure_data import Material
from cosmoinfer.plots.registry import PLOTS, draw, save
from cosmoinfer.plots.scaling import learning_curve

__all__ = ["PLOTS", "Material", "cross", "draw", "learning_curve", "save"]
