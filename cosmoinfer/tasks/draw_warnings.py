"""What is wrong with posteriors that were just drawn: observations unlike the training data, products worth little."""

import numpy as np

from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import join_first
from cosmoinfer.importance_sampling import MIN_EFFECTIVE_DRAWS
from cosmoinfer.models.posterior_model import MAX_OOD_SET_P_VALUE, PosteriorModel, anomaly_warnings
from cosmoinfer.posterior import Posterior
from cosmoinfer.posterior.observation_summary import MAX_CONSISTENCY_P_VALUE
from cosmoinfer.sampling.product import piles_up_at_edge
from cosmoinfer.tasks.reporter import Reporter


def warn_of_anomalies(
    model: PosteriorModel, catalog: Catalog, rows: np.ndarray, posterior: Posterior, reporter: Reporter
) -> None:
    """Observations unlike the training data, where they are more than expected. rows: (n,) positions."""
    for line in anomaly_warnings(model, catalog, rows, posterior):
        reporter.warn(line)
    p_value = posterior.diagnostics.ood_set_p_value
    if p_value is not None and p_value >= MAX_OOD_SET_P_VALUE:
        reporter.info(f"the observations as a set: like the validation rows (MMD, p = {p_value:.3f})")


def warn_of_product(posterior: Posterior, reporter: Reporter) -> None:
    """Products that are worth few draws, pile up at an end of the prior, or whose factors do not agree."""
    ess, p_value = posterior.diagnostics.ess, posterior.diagnostics.consistency_p_value
    assert ess is not None and p_value is not None
    too_few, piled = ess < MIN_EFFECTIVE_DRAWS, piles_up_at_edge(posterior)
    inconsistent = p_value < MAX_CONSISTENCY_P_VALUE
    reporter.info(
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
