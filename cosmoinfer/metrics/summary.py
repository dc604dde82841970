"""An evaluation in sentences: how accurate, how well calibrated, and one for each further test. Empty where there is
nothing to say."""

from cosmoinfer.formatting import count_text
from cosmoinfer.metrics.estimate import Estimates, EstimatesByMetric
from cosmoinfer.metrics.local_c2st import RECOMMENDED_SIMULATIONS
from cosmoinfer.metrics.verdict import FIXED, WORSE_THAN_PRIOR, Verdict
from cosmoinfer.r2 import UNCONSTRAINED_R2


def sample_size(rows: int, simulations: int) -> str:
    """How many rows were evaluated, of how many simulations."""
    return f"Evaluated on {count_text(rows, 'row')} of {count_text(simulations, 'simulation')}"


def information(rows: int, simulations: int, joint: Estimates) -> str:
    """The gain over the prior, else the log density at the truth, in nats."""
    size = sample_size(rows, simulations)
    gain, log_prob = joint.get("log_prob_gain"), joint.get("log_prob")
    if gain and gain.value is not None:
        return f"{size}: information gain over the prior {gain.format()} nats."
    if log_prob and log_prob.value is not None:
        missing = f"; information gain over the prior not known: {gain.reason}" if gain else ""
        return f"{size}: mean log density at the truth {log_prob.format()} nats{missing}."
    return f"{size}: no log density at the truth ({log_prob.reason})." if log_prob else f"{size}."


def too_few(simulations: int) -> str:
    """In place of the sentences on parameters, where there are fewer simulations than these need."""
    return f"Of {count_text(simulations, 'simulation')} no metric says which parameters are constrained, and how well."


def constrained(parameters: EstimatesByMetric, verdict: Verdict) -> str:
    """R2 and rmse of each parameter that the data constrain."""
    r2 = parameters.get("r2", {})
    accuracies = [
        f"{name} (R2 {r2[name].format_value()}, rmse {parameters['rmse'][name].format_value('.2g')})"
        for name in verdict.parameters
        if name not in verdict.unconstrained and name in r2 and (r2[name].value or 0.0) > UNCONSTRAINED_R2
    ]
    return f"Constrained: {', '.join(accuracies)}." if accuracies else ""


def inaccurate(parameters: EstimatesByMetric, verdict: Verdict) -> str:
    """Parameters whose estimates follow the true values and are no nearer to them than the mean of all."""
    r2 = parameters.get("r2", {})
    names = [
        f"{name} (R2 {value:.2f})"
        for name in verdict.parameters
        if name not in verdict.unconstrained
        and name in r2
        and (value := r2[name].value) is not None
        and value <= UNCONSTRAINED_R2
    ]
    return (
        f"Correlated with the true values, but no nearer to them than their mean: {', '.join(names)}." if names else ""
    )


def worse_than_prior(verdict: Verdict) -> str:
    """What it means that a posterior is worse than none."""
    if not verdict.joint.startswith(WORSE_THAN_PRIOR):
        return ""
    return "The true values are less probable under the posterior than under the prior: do not use this posterior."


def unconstrained(verdict: Verdict) -> str:
    """Parameters of which the model returns the prior."""
    names = ", ".join(verdict.unconstrained)
    return f"Not constrained by the data: {names} (R2 at most {UNCONSTRAINED_R2:g})." if names else ""


def fixed(verdict: Verdict) -> str:
    """The bias of each parameter whose true value is the same in all simulations."""
    biases = [f"{name} {words}" for name, words in verdict.parameters.items() if words.startswith(FIXED)]
    return f"Single cosmology: {'; '.join(biases)}." if biases else ""


def calibration(verdict: Verdict) -> str:
    """The verdict on the joint posterior."""
    return f"Joint posterior: {verdict.joint}."


def coverage(parameters: EstimatesByMetric) -> str:
    """Smallest and largest coverage of the 68 % intervals over the parameters."""
    estimates = parameters.get("coverage_68", {}).values()
    percentages = [100 * estimate.value for estimate in estimates if estimate.value is not None]
    if not percentages:
        return ""
    low, high = f"{min(percentages):.0f}", f"{max(percentages):.0f}"
    return f"The 68 % intervals contain {low if low == high else f'{low} to {high}'} % of the true values."


def local_tests(local: EstimatesByMetric, simulations: int) -> str:
    """The p-value of local C2ST at each row, Holm-corrected if there are several; a caveat with few simulations."""
    estimates = local.get("lc2st_p_holm", local.get("lc2st_p"))
    if not estimates:
        return ""
    p_values = [f"row {row} {estimate.format_value('.2g')}" for row, estimate in estimates.items()]
    corrected = ", Holm-corrected" if len(estimates) > 1 else ""
    caveat = (
        f"; with {simulations} simulations only gross errors are detected ({RECOMMENDED_SIMULATIONS} are recommended)"
        if simulations < RECOMMENDED_SIMULATIONS
        else ""
    )
    return f"Local C2ST (p-value that the posterior is correct there{corrected}): {', '.join(p_values)}{caveat}."


def comparison(kind: str, joint: Estimates, parameters: EstimatesByMetric) -> str:
    """The differences from the reference posterior of this kind."""
    if not kind:
        return ""
    differences = [*_density_differences(joint), *_moment_differences(parameters)]
    return f"Compared to the {kind}: {'; '.join(differences) or 'the two have no quantity in common'}."


def _density_differences(joint: Estimates) -> list[str]:
    differences = []
    if _has_value(joint, "expected_kl"):
        differences.append(f"expected KL divergence {joint['expected_kl'].format('.3f')} nats")
    elif _has_value(joint, "log_prob_difference"):
        difference = joint["log_prob_difference"]
        lower = difference.value is not None and difference.value < 0
        size = (-difference if lower else difference).format(".3f")
        differences.append(f"mean log density at the truth {'lower' if lower else 'higher'} by {size} nats")
    if _has_value(joint, "c2st"):
        differences.append(f"C2ST {joint['c2st'].format('.3f')} (0.5 is ideal)")
    if _has_value(joint, "fisher_loss"):
        differences.append(f"log volume {joint['fisher_loss'].format()} nats above that of the Fisher information")
    return differences


def _moment_differences(parameters: EstimatesByMetric) -> list[str]:
    differences = []
    if _all_have_values(parameters, "mean_shift_rms"):
        differences.append(f"rms shift of the means {_range(parameters['mean_shift_rms'])} of its standard deviations")
    if _all_have_values(parameters, "width_ratio"):
        differences.append(f"widths {_range(parameters['width_ratio'])} times its widths")
    return differences


def _has_value(joint: Estimates, metric: str) -> bool:
    return metric in joint and joint[metric].value is not None


def _all_have_values(parameters: EstimatesByMetric, metric: str) -> bool:
    return metric in parameters and all(estimate.value is not None for estimate in parameters[metric].values())


def _range(estimates: Estimates) -> str:
    """From the smallest to the largest value."""
    values = [estimate.value for estimate in estimates.values() if estimate.value is not None]
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"
