"""What is wrong with posteriors that were just drawn: observations unlike the training data, products worth little."""

import numpy as np

from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import join_first
from cosmoinfer.importance_sampling import MIN_EFFECTIVE_DRAWS
from cosmoinfer.models.model import PosteriorModel
from cosmoinfer.ood.detector import below_training_range
from cosmoinfer.posterior import Posterior
from cosmoinfer.sampling.product import piles_up_at_edge
from cosmoinfer.tasks.reporter import Reporter

MAX_OOD_SET_P_VALUE = 0.01  # below which a set of observations is unlike the validation rows
MAX_CONSISTENCY_P_VALUE = 1e-3  # below which single posteriors of one universe do not agree


def warn_of_anomalies(
    model: PosteriorModel, catalog: Catalog, rows: np.ndarray, posterior: Posterior, reporter: Reporter
) -> None:
    """Observations unlike the training data, where they are more than expected. rows: (n,) positions."""
    index, diagnostics = catalog.index[rows], posterior.diagnostics
    percentile, p_value = diagnostics.ood_percentile, diagnostics.ood_set_p_value
    if percentile is None or model.ood is None:
        return
    below = below_training_range(model.preprocessing, catalog, rows)
    if below.any():
        reporter.warn(
            f"{int(below.sum())} of {len(below)} observations lie below all training values in half of their numbers "
            f"or more, of which the model takes the logarithm: row {join_first(index[below])}; was it taken before, or "
            "are the units others? Their posteriors are extrapolations and not reliable"
        )
    alarm = model.ood.excess_outliers(percentile, posterior.simulation)
    if alarm is not None:
        reporter.warn(
            f"{len(alarm.positions)} of {len(posterior)} observations are unlike the training data (percentile above "
            f"{alarm.level:g}; {alarm.expected:.2g} expected): row {join_first(posterior.index[alarm.positions])}; "
            "their posteriors are extrapolations and not reliable"
        )
    if p_value is not None:
        unlike = p_value < MAX_OOD_SET_P_VALUE
        verdict = "unlike the validation rows; another simulator, or parameters not drawn from the prior"
        line = f"the observations as a set: {verdict if unlike else 'like the validation rows'}"
        (reporter.warn if unlike else reporter.report)(f"{line} (MMD, p = {p_value:.3f})")


def warn_of_product(posterior: Posterior, reporter: Reporter) -> None:
    """Products that are worth few draws, pile up at an end of the prior, or whose factors do not agree."""
    ess, p_value = posterior.diagnostics.ess, posterior.diagnostics.consistency_p_value
    assert ess is not None and p_value is not None
    too_few, piled = ess < MIN_EFFECTIVE_DRAWS, piles_up_at_edge(posterior)
    inconsistent = p_value < MAX_CONSISTENCY_P_VALUE
    reporter.report(
        "each simulation: the product of its rows' posteriors over the prior, right if the rows are independent; the "
        "flow's errors add up over them, so evaluate it on test simulations"
    )
    if too_few.any():
        reporter.warn(
            f"{int(too_few.sum())} of {len(posterior)} products are worth less than {MIN_EFFECTIVE_DRAWS} draws (row "
            f"{join_first(posterior.index[too_few])}): no broad agreement of the rows; train-flow "
            "`observation=simulation` learns from all of a simulation's rows at once"
        )
    if piled.any():
        reporter.warn(
            f"{int(piled.sum())} of {len(posterior)} products pile up at an end of the prior (row "
            f"{join_first(posterior.index[piled])}), where a flow's errors grow fastest: train it longer, or on sets"
        )
    if inconsistent.any():
        reporter.warn(
            f"in {int(inconsistent.sum())} of {len(posterior)} simulations (row "
            f"{join_first(posterior.index[inconsistent])}) the single posteriors are mutually inconsistent "
            f"(p < {MAX_CONSISTENCY_P_VALUE:g}): they are too narrow or biased, or the rows are not of one universe"
        )
