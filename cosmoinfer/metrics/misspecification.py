"""Whether the observations look like those that the model was trained on; else no posterior can be trusted."""

import numpy as np

from cosmoinfer.metrics.metric import JOINT, Mean, Metric, Permuted

ODD = 95.0  # percentile of the validation rows' distances: 5 % of the observations of the same simulator lie beyond


def _there(values: np.ndarray | None) -> np.ndarray:
    assert values is not None
    return values


MISSPECIFICATION: dict[str, Metric] = {
    "ood": Mean(terms=lambda e: _there(e.ood) > ODD, scope=JOINT, needs=("ood",)),
    "ood_set_p": Permuted(p_values=lambda e: _there(e.ood_set_p), scope=JOINT, needs=("ood_set_p",)),
}
