"""Out-of-distribution observations, whose posteriors are extrapolations and not reliable."""

from cosmoinfer.metrics.metric import JOINT, Mean, Metric, PermutationTest, required

OOD_PERCENTILE = (
    95.0  # percentile of the validation rows' distances: 5 % of the observations of the same simulator lie beyond
)


MISSPECIFICATION: dict[str, Metric] = {
    "ood": Mean(terms=lambda e: required(e.ood) > OOD_PERCENTILE, scope=JOINT, needs=("ood",)),
    "ood_set_p": PermutationTest(p_values=lambda e: required(e.ood_set_p), scope=JOINT, needs=("ood_set_p",)),
}
