"""Checks of parameters: outside their box, against their prior, constant, or functions of each other."""

from collections.abc import Callable

import numpy as np
from scipy import special

from cosmoinfer.audit.check import CatalogUnderTest, Check, Finding, error, note, warning
from cosmoinfer.catalog.catalog import ARRAYS
from cosmoinfer.errors import join_first
from cosmoinfer.parameters import Parameters, bounds_suffixes, recognise_priors
from cosmoinfer.priors import BOX, PRIORS
from cosmoinfer.quoting import write
from cosmoinfer.unbounded_density import describe_discrete, describe_functions

MIN_FILLED_FRACTION = 0.2  # of the box; rows that fill less were drawn from another box
MOSTLY_INSIDE_FRACTION = 0.9  # of the rows, above which the unit of a parameter is not in doubt
PRIOR_REJECTED_P_VALUE = 1e-6  # below which rows are inconsistent with their prior
PRIOR_ACCEPTED_P_VALUE = 1e-3  # above which they are consistent with another one
MIN_SIMULATIONS = 20
DECLARE_PRIOR = (
    "declare the prior, its box (`bounds`; of arrays low and high) or its region (`where`) from which they were drawn: "
    "a posterior is as reliable as its prior"
)

UNIT_CONVERSIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "its log10": lambda value: np.log10(np.where(value > 0, value, np.nan)),
    "10 to its power": lambda value: 10.0 ** np.clip(value, -300, 300),
    "a hundredth of it": lambda value: value / 100,
    "a hundred times it": lambda value: value * 100,
    "0.7 of it (h)": lambda value: value * 0.7,
    "it over 0.7 (h)": lambda value: value / 0.7,
}


def outside_prior_box(subject: CatalogUnderTest) -> list[Finding]:
    """Rows outside the box; if they are many, the units in which they would lie inside."""
    catalog = subject.catalog
    if catalog.parameters is None or catalog.theta is None:
        return []
    finite = np.isfinite(catalog.theta).all(axis=1)
    rows = np.flatnonzero(finite & ~catalog.parameters.in_box(catalog.theta))
    if len(rows) == 0:
        beyond = np.flatnonzero(finite & ~catalog.parameters.inside(catalog.theta))
        conditions = " and ".join(catalog.parameters.where)
        text = f"{len(beyond)} rows lie outside the region where {conditions} ({catalog.describe_rows(beyond)})"
        remedy = "the region is that of the prior they were drawn from: leave them out of the catalog, or correct it"
        return [error(text, remedy)] if len(beyond) else []
    ranges = []
    for column, name in enumerate(catalog.parameters.names):
        parameter = catalog.parameters.select([name])
        values = catalog.theta[np.isfinite(catalog.theta[:, column]), column]
        if not parameter.inside(values[:, None]).all():
            box = f"box {parameter.low[0]:g}..{parameter.high[0]:g}"
            ranges.append(f"{name} {values.min():.4g}..{values.max():.4g}, {box}{_suggest_units(parameter, values)}")
    text = f"{len(rows)} rows lie outside the declared box ({catalog.describe_rows(rows)}): {'; '.join(ranges)}"
    box = "its `low` and `high`" if catalog.path == ARRAYS else "the box by `bounds='NAME=LOW:HIGH'`"
    return [error(text, f"correct these rows, or {box}")]


def _suggest_units(parameter: Parameters, values: np.ndarray) -> str:
    """The units in which the values (N,) of one parameter would lie in its box, if many lie outside."""
    if parameter.inside(values[:, None]).mean() > MOSTLY_INSIDE_FRACTION:
        return ""
    units = [name for name, convert in UNIT_CONVERSIONS.items() if parameter.inside(convert(values)[:, None]).all()]
    question = f"{join_first(units)} would lie inside: is the box" if units else "is it"
    return f" ({question} in other units?)"


def fixed_parameters(subject: CatalogUnderTest) -> list[Finding]:
    """Parameters that never vary, all or some; a catalog without parameters."""
    catalog = subject.catalog
    if catalog.parameters is None or catalog.theta is None:
        return [note("no /parameters: observations, which can be sampled but not trained on")]
    if catalog.classes:
        return []
    names = np.array(catalog.parameters.names)
    with np.errstate(invalid="ignore"):
        constant = names[np.ptp(catalog.theta, axis=0) == 0]
    text = f"{join_first(constant)} never varies: a fixed-parameter set"
    if len(constant) == len(names):
        return [error(text, "use it to test a model, not to train one")]
    return [warning(text, "`infer` leaves it out")] if len(constant) else []


def prior_mismatch(subject: CatalogUnderTest) -> list[Finding]:
    """Parameters that do not fill their box, or do not follow their prior (Kolmogorov & Smirnov, by simulation)."""
    varying = _varying_parameters(subject)
    if varying is None:
        return []
    parameters, theta = varying
    parameters = recognise_priors(parameters, theta, subject.catalog.declared_priors)
    findings = []
    inside = parameters.inside(theta).all()
    marginal_u = parameters.joint_prior.marginal_cdf(theta)
    for column, name in enumerate(parameters.names):
        parameter, values = parameters.untied.select([name]), theta[:, column]
        is_tied = column in parameters.joint_prior.tied
        if not parameters.has_prior[column] or not parameter.inside(values[:, None]).all() or (is_tied and not inside):
            continue  # ``outside_prior_box`` reports it
        u = marginal_u[:, column]
        box = f"{parameter.low[0]:g}..{parameter.high[0]:g}"
        if np.ptp(u) < MIN_FILLED_FRACTION and parameter.priors[0].arguments == BOX:
            extent = f"{values.min():.4g}..{values.max():.4g}"
            text = f"{name}: the rows ({extent}) fill {100 * np.ptp(u):.2g} % of its box {box}"
            bounds = "`low` and `high`" if subject.catalog.path == ARRAYS else f"`bounds='{write(name)}=LOW:HIGH'`"
            findings.append(
                warning(text, f"if the box is that of another set, or in other units, correct it by {bounds}")
            )
        elif (p := _uniformity_p_value(u)) < PRIOR_REJECTED_P_VALUE:
            cut = " under `where` and its correlation" if is_tied else ""
            text = (
                f"{name}: the rows are inconsistent with its {parameter.prior[0]} prior on {box}{cut} (KS p = {p:.1g})"
            )
            suggestion = _suggest_prior(parameter, values, subject.catalog.path == ARRAYS)
            findings.append(warning(text, DECLARE_PRIOR if is_tied else suggestion))
    return findings


def half_open_box(subject: CatalogUnderTest) -> list[Finding]:
    """Parameters with one limit of a box only and no prior: the other limit may have been forgotten."""
    parameters = subject.catalog.parameters
    if parameters is None or subject.catalog.classes:
        return []
    one_limit = np.isfinite(parameters.low) != np.isfinite(parameters.high)
    without_prior = np.array(parameters.names)[one_limit & ~parameters.has_prior].tolist()
    names = [name for name in without_prior if name not in subject.catalog.declared_priors]
    if not names:
        return []
    text = f"{join_first(names)}: one of low and high is given, the other is not, so that no prior is known"
    return [warning(text, "give both, or the prior")]


def _uniformity_p_value(u: np.ndarray) -> float:
    """The p-value of uniform u (G,), corrected for the ties of values on a grid.

    Twice the exact one-sided probability of Smirnov: the two-sided one where it is small, and an upper bound elsewhere.
    """
    values, ties = np.unique(u, return_counts=True)
    steps = np.concatenate([[0], np.cumsum(ties)]) / len(u)
    distance = max((steps[1:] - values).max(), (values - steps[:-1]).max()) - ties.max() / len(u)
    return min(1.0, 2 * float(special.smirnov(len(u), max(distance, 0.0))))


def _suggest_prior(parameter: Parameters, values: np.ndarray, of_arrays: bool) -> str:
    """What to do about one parameter whose values (G,) do not follow its prior; of_arrays: where it is declared."""
    name, low, high = parameter.names[0], parameter.low[0], parameter.high[0]
    for suffix, prior in bounds_suffixes().items():
        candidate = PRIORS[prior](low, high)
        if prior == parameter.prior[0] or candidate.arguments != BOX or candidate.problem():
            continue
        if _uniformity_p_value(candidate.cdf(values)) > PRIOR_ACCEPTED_P_VALUE:
            bounds = f"`prior={prior}`" if of_arrays else f"`bounds='{write(name)}={low:g}:{high:g}:{suffix}'`"
            return f"they are {prior}: declare it by {bounds}"
    return DECLARE_PRIOR


def derived_parameters(subject: CatalogUnderTest) -> list[Finding]:
    """Parameters that are functions of others, with which the joint density is unbounded."""
    varying = _varying_parameters(subject)
    if varying is None:
        return []
    names, theta = varying[0].names, varying[1]
    functions = describe_functions(names, theta, describe_discrete(names, theta))
    remedy = "leave it out with `infer`: the density of both together is unbounded"
    return [warning(text, remedy) for text in functions.values()]


def discrete_parameters(subject: CatalogUnderTest) -> list[Finding]:
    """Parameters of a few values, over which no density exists."""
    varying = _varying_parameters(subject)
    discrete = {} if varying is None else describe_discrete(varying[0].names, varying[1])
    remedy = "a density over it is unbounded: leave it out with `infer`, or classify it (/classes, `target`)"
    return [warning(text, remedy) for text in discrete.values()]


def _varying_parameters(subject: CatalogUnderTest) -> tuple[Parameters, np.ndarray] | None:
    """The parameters that vary and their values (G, P), a row per simulation; None if these are too few."""
    catalog = subject.catalog
    if (
        catalog.parameters is None
        or catalog.theta is None
        or catalog.classes
        or len(subject.first_rows) < MIN_SIMULATIONS
    ):
        return None
    theta = catalog.theta[subject.first_rows]
    names = [name for name, spread in zip(catalog.parameters.names, np.ptp(theta, axis=0), strict=True) if spread > 0]
    if not names:
        return None
    return catalog.parameters.select(names), theta[:, catalog.parameters.columns(names)]


CHECKS = {
    "outside_prior_box": Check(outside_prior_box, in_inspect=True),
    "fixed_parameters": Check(fixed_parameters, in_inspect=True),
    "prior_mismatch": Check(prior_mismatch, before_training=True),
    "half_open_box": Check(half_open_box, in_inspect=True, before_training=True),
    "derived_parameters": Check(derived_parameters, before_training=True),
    "discrete_parameters": Check(discrete_parameters, before_training=True),
}
