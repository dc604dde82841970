"""Whether the parameters lie in their box as their prior says, and whether they are as many as they seem to be."""

from collections.abc import Callable

import numpy as np
from scipy import special

from cosmoinfer.audit.catalog_under_test import Subject
from cosmoinfer.audit.finding import Finding, error, note, warning
from cosmoinfer.errors import listed
from cosmoinfer.parameters import Parameters, bounds_suffixes, recognise_priors
from cosmoinfer.priors import BOX, PRIORS

FILLED = 0.2  # rows that fill less of their box were drawn from another one
SURE = 1e-6  # the p-value below which rows contradict their prior
FITS = 1e-3  # and above which they agree with another one
LEAST = 20  # simulations, for anything statistical
EXACT = 1e-10  # of a parameter's variance: what single precision leaves of an exact linear relation

UNITS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "its log10": lambda value: np.log10(np.where(value > 0, value, np.nan)),
    "10 to its power": lambda value: 10.0 ** np.clip(value, -300, 300),
    "a hundredth of it": lambda value: value / 100,
    "a hundred times it": lambda value: value * 100,
    "0.7 of it (h)": lambda value: value * 0.7,
    "it over 0.7 (h)": lambda value: value / 0.7,
}


def outside(subject: Subject) -> list[Finding]:
    """Rows outside the box; and if they are many, whether other units would bring them in."""
    catalog = subject.catalog
    if catalog.parameters is None or catalog.theta is None:
        return []
    rows = np.flatnonzero(np.isfinite(catalog.theta).all(axis=1) & ~catalog.parameters.inside(catalog.theta))
    if len(rows) == 0:
        return []
    told = []
    for column, name in enumerate(catalog.parameters.names):
        one = catalog.parameters.select([name])
        values = catalog.theta[np.isfinite(catalog.theta[:, column]), column]
        if not one.inside(values[:, None]).all():
            told.append(f"{name} {values.min():.4g}..{values.max():.4g}, box {one.low[0]:g}..{one.high[0]:g}")
            told[-1] += _other_units(one, values)
    text = f"{len(rows)} rows lie outside the declared box ({subject.catalog.describe_rows(rows)}): {'; '.join(told)}"
    return [error(f"{text}; mend these rows, or the box with --bounds 'NAME=LOW:HIGH'")]


def _other_units(parameters: Parameters, values: np.ndarray) -> str:
    """Of one parameter of which many rows lie outside."""
    if parameters.inside(values[:, None]).mean() > 0.9:
        return ""
    fit = [name for name, change in UNITS.items() if parameters.inside(change(values)[:, None]).all()]
    return f" ({listed(fit)} would lie inside: is the box in other units?)" if fit else " (is it in other units?)"


def fixed(subject: Subject) -> list[Finding]:
    """Parameters that never vary, all or some; a catalog without parameters."""
    catalog = subject.catalog
    if catalog.parameters is None or catalog.theta is None:
        return [note("no /parameters: observations, to be sampled but not trained on")]
    if catalog.classes:
        return []
    names = np.array(catalog.parameters.names)
    with np.errstate(invalid="ignore"):
        constant = names[np.ptp(catalog.theta, axis=0) == 0]
    if len(constant) == len(names):
        text = f"{listed(constant)} never varies: a fixed-parameter set, to test a model on but not to train one"
        return [error(text)]
    if len(constant):
        return [warning(f"{listed(constant)} never varies: a fixed-parameter set; --infer leaves it out")]
    return []


def prior(subject: Subject) -> list[Finding]:
    """Whether rows fill the box, and as the prior says (Kolmogorov and Smirnov, one row a simulation)."""
    varied = _varied(subject)
    if varied is None:
        return []
    parameters, theta = varied
    parameters = recognise_priors(parameters, theta, subject.catalog.declared_priors)
    found = []
    for column, name in enumerate(parameters.names):
        one, values = parameters.select([name]), theta[:, column]
        if not one.has_prior[0] or not one.inside(values[:, None]).all():
            continue  # what lies outside is told by ``outside``
        u = one.cdf(values[:, None])[:, 0]
        box = f"{one.low[0]:g}..{one.high[0]:g}"
        if np.ptp(u) < FILLED and one.priors[0].arguments == BOX:
            span = f"{values.min():.4g}..{values.max():.4g}"
            text = (
                f"{name}: the rows ({span}) fill {100 * np.ptp(u):.2g} % of its box {box}; is that the box of another"
            )
            found.append(warning(f"{text} set, or in other units? --bounds '{name}=LOW:HIGH' gives theirs"))
        elif (p := _agreement(u)) < SURE:
            text = f"{name}: the rows contradict its {one.prior[0]} prior on {box} (KS p = {p:.1g})"
            found.append(warning(f"{text}; {_other_prior(one, values)}"))
    return found


def _agreement(u: np.ndarray) -> float:
    """p-value of uniform u (G,); what ties of a grid of values add to the distance is not held against them.

    Twice Smirnov's exact one-sided probability: the two-sided one where it is small, and above it elsewhere.
    """
    values, ties = np.unique(u, return_counts=True)
    steps = np.concatenate([[0], np.cumsum(ties)]) / len(u)
    distance = max((steps[1:] - values).max(), (values - steps[:-1]).max()) - ties.max() / len(u)
    return min(1.0, 2 * float(special.smirnov(len(u), max(distance, 0.0))))


def _other_prior(one: Parameters, values: np.ndarray) -> str:
    """What to do about one parameter."""
    name, low, high = one.names[0], one.low[0], one.high[0]
    for suffix, prior in bounds_suffixes().items():
        other = PRIORS[prior](low, high)
        if prior != one.prior[0] and not other.problem() and _agreement(other.cdf(values)) > FITS:
            return f"they are {prior}: --bounds '{name}={low:g}:{high:g}:{suffix}' says so"
    return "declare the prior, or the box, from which they were drawn: a posterior is worth as much as its prior"


def copies(subject: Subject) -> list[Finding]:
    """Parameters that are exact functions of others: the density of all of them together has no bound."""
    varied = _varied(subject)
    if varied is None:
        return []
    parameters, theta = varied
    names, count = parameters.names, len(parameters)
    if count < 2 or len(theta) < 3 * count + LEAST:
        return []
    mend = "leave it out with --infer: the density of both together has no bound"
    found, functions = [], set()
    ranks = np.stack([np.unique(one, return_inverse=True)[1] for one in theta.T], axis=1)
    for column in range(1, count):
        for other in range(column):
            turned = ranks[:, other].max() - ranks[:, other]
            many = ranks[:, column].max() >= LEAST
            if many and any(np.array_equal(ranks[:, column], one) for one in (ranks[:, other], turned)):
                found.append(warning(f"{names[column]} is a function of {names[other]} in every row; {mend}"))
                functions.add(column)
    rest = [column for column in range(count) if column not in functions]
    z = (theta - theta.mean(axis=0)) / theta.std(axis=0)
    for column in reversed(rest):  # derived parameters tend to stand last
        others = [one for one in rest if one != column]
        if not others:
            break
        weights, *_ = np.linalg.lstsq(z[:, others], z[:, column], rcond=None)
        if ((z[:, column] - z[:, others] @ weights) ** 2).mean() < EXACT:
            used = [names[one] for one, weight in zip(others, weights, strict=True) if abs(weight) > 1e-4]
            found.append(warning(f"{names[column]} is an exact linear function of {listed(used)}; {mend}"))
            rest.remove(column)
    return found


def _varied(subject: Subject) -> tuple[Parameters, np.ndarray] | None:
    """The parameters that vary and their values (G, P), one row a simulation; None if that is too little to judge."""
    catalog = subject.catalog
    if catalog.parameters is None or catalog.theta is None or catalog.classes or len(subject.first) < LEAST:
        return None
    theta = catalog.theta[subject.first]
    names = [name for name, spread in zip(catalog.parameters.names, np.ptp(theta, axis=0), strict=True) if spread > 0]
    if not names:
        return None
    return catalog.parameters.select(names), theta[:, catalog.parameters.columns(names)]
