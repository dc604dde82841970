"""Figures of a posterior, from Python."""

from collections.abc import Sequence
from pathlib import Path

from cosmoinfer import models
from cosmoinfer import plots as drawing
from cosmoinfer.errors import UserError, list_choices
from cosmoinfer.metrics import Evaluation
from cosmoinfer.settings import UNLIMITED, check_value
from cosmoinfer.tasks.sources import AnyModel, PosteriorSource, open_posterior


def figures(
    posterior: PosteriorSource,
    folder: Path | str,
    plots: Sequence[str] | None = None,
    *,
    evaluation: Evaluation | None = None,
    model: AnyModel | None = None,
    seed: int = 0,
) -> list[Path]:
    """Draw the figures of a posterior, as ``folder/corner.png``; returns their paths.

    posterior: a posterior or its path.
    plots: names of figures, as ``["corner"]``; by default all that apply to what the posterior holds.
    evaluation: for numbers that are written into figures. model: for its training history.
    seed: of randomised ranks and resampling.

    Raises UserError, a ValueError, if a name is not known, or a figure that is named does not apply.
    """
    check_value("seed", seed, int, UNLIMITED)
    names = drawing.PLOTS if plots is None else [plots] if isinstance(plots, str) else plots
    for name in names:
        if name not in drawing.PLOTS:
            raise UserError(f"no figure is named {name}; {list_choices(name, drawing.PLOTS)}", setting="plots")
    opened, histories = open_posterior(posterior), {} if model is None else models.histories(model)
    data = drawing.FigureData(opened.posterior, evaluation, histories, seed=seed)
    paths = drawing.draw(data, Path(folder), names)
    missing = sorted({*names} - {path.stem for path in paths}) if plots is not None else []
    if missing:
        raise UserError(f"{opened.name} lacks what {', '.join(missing)} shows", setting="plots")
    return paths
