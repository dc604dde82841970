"""What helps to judge posteriors, beside the posteriors themselves."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Diagnostics:
    """Of n posteriors; each is None where the model or the way of sampling does not give it.

    ridge_estimate: (n, P), a ridge regression's estimate of the parameters; TARP and local C2ST refer to it.
    ood_percentile: (n,), the percentile of the distance from the training data among the validation rows, 0 to 100.
    ood_set_p_value: of all observations as one set, that they come from the simulator and its prior.
    consistency_p_value: (n,), of a product of observations, that their single posteriors are as far apart as they are.
    ess: (n,), effective number of independent draws, where draws of another density were weighted.
    n_observations: (n,), how many observations each posterior is of; None where each is of one.
    temperature: by which the standard deviation of the model's base noise was multiplied.
    fisher: (n, P, P), the Fisher information of the data at the truth, where the simulator has a formula for it.
    """

    ridge_estimate: np.ndarray | None = None
    ood_percentile: np.ndarray | None = None
    ood_set_p_value: float | None = None
    consistency_p_value: np.ndarray | None = None
    ess: np.ndarray | None = None
    n_observations: np.ndarray | None = None
    temperature: float | None = None
    fisher: np.ndarray | None = None
