"""Another prior, as a user writes it: of one parameter, a correlation of two, or a region."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cosmoinfer.errors import UserError, blame, suggest
from cosmoinfer.parameters import JointPrior, Parameters, parse_correlation
from cosmoinfer.priors import BOX, BOX_TOLERANCE, PRIORS, Normal
from cosmoinfer.quoting import split, unquote
from cosmoinfer.reweighting.correlated_normal import CorrelatedNormal

MIN_MASS_IN_BOX = 0.01  # probability of a normal prior that must lie inside the box


def check_known(parameters: Parameters, names: Sequence[str], derived: Sequence[str]) -> None:
    """Raises UserError where the prior of one of these, which a new one replaces, is not known; derived have none."""
    for column, name in zip(parameters.columns(names), names, strict=True):
        if not parameters.priors[column].is_known and name not in derived:
            raise UserError(
                "its own prior is not known, so it cannot be divided out; `bounds` at training declares it",
                setting="prior",
                value=name,
            )


@dataclass(frozen=True)
class PriorChange:
    """Another prior for one parameter: ``Omega_m=normal:0.31:0.01``.

    kind: of ``PRIORS``. numbers: its two arguments, which are the box, or mean and std; behind mean and std a smaller
    box may follow.
    """

    parameter: str
    kind: str
    numbers: tuple[float, ...]

    @classmethod
    def parse(cls, text: str) -> "PriorChange":
        """Raises UserError where the text is not understood."""
        *quoted, written = split(text, "=")
        name = unquote("=".join(quoted))
        kind, *words = (word.strip() for word in written.split(":"))
        try:
            numbers = tuple(float(word) for word in words)
        except ValueError:
            numbers = ()
        arguments = PRIORS[kind].arguments if kind in PRIORS else ()
        counts = {len(arguments), len({*arguments, *BOX})} if arguments else set()
        if not name or len(numbers) not in counts or not np.isfinite(numbers[:2]).all() or np.isnan(numbers).any():
            forms = [f"name={kind}:{':'.join(prior.arguments)}" for kind, prior in PRIORS.items() if prior.arguments]
            if not name:
                problem = "names no parameter, and no file of a chain"
            elif not arguments:
                problem = "; ".join(filter(None, (f"{kind!r} is no prior", suggest(kind, PRIORS))))
            else:
                problem = f"{':'.join(words)!r} is not {' or '.join(map(str, sorted(counts)))} numbers"
            raise UserError(f"{text!r}: {problem}; expected one of {', '.join(forms)}", setting="prior")
        return cls(name, kind, numbers)

    @property
    def names(self) -> tuple[str, ...]:
        """Of its parameter alone."""
        return (self.parameter,)

    def apply_to(self, parameters: Parameters, derived: Sequence[str] = ()) -> Parameters:
        """The parameters with this prior in the place of the one that they had.

        derived: names of functions of other parameters, which have no prior: theirs multiplies that of the others.
        Raises UserError where the old prior is unknown, and where the new one lies outside the box.
        """
        (column,) = parameters.columns([self.parameter])
        check_known(parameters, [self.parameter], derived)
        arguments = PRIORS[self.kind].arguments
        entries = dict(zip(arguments + (BOX if len(self.numbers) > len(arguments) else ()), self.numbers, strict=True))
        low, high = max(parameters.low[column], PRIORS[self.kind].lowest), parameters.high[column]
        if "low" in entries:
            self._check_inside(low, high, (entries["low"], entries["high"]))
            low, high = max(entries["low"], low), min(entries["high"], high)
        fields: dict[str, Any] = {}
        for field, number in (entries | {"low": low, "high": high}).items():
            fields[field] = np.array(getattr(parameters, field))
            fields[field][column] = number
        kinds = [self.kind if place == column else kind for place, kind in enumerate(parameters.prior)]
        changed = replace(parameters, prior=tuple(kinds), **fields)
        prior = changed.priors[column]
        if prior.mass_in_box() < MIN_MASS_IN_BOX:
            raise UserError(
                f"{100 * prior.mass_in_box():.2g} % of {prior} lie in the box "
                f"{prior.low:g}..{prior.high:g}, outside which the posterior is not known; "
                "train with simulations from that prior",
                setting="prior",
                value=self.parameter,
            )
        return changed

    def describe(self, parameters: Parameters, derived: Sequence[str] = ()) -> str:
        """In words, as it stands now among the parameters."""
        (column,) = parameters.columns([self.parameter])
        prior = parameters.priors[column]
        box = f"{prior.low:g}..{prior.high:g}"
        factor = "; it multiplies the prior of the parameters from which it is derived" * (self.parameter in derived)
        if prior.arguments == BOX:
            return f"{self.parameter}: {prior} in {box}{factor}"
        mass = prior.mass_in_box()
        truncation = "" if mass == 1 else f", truncated to the box {box}, which holds {100 * mass:.4g} % of it"
        return f"{self.parameter}: {prior}{truncation}{factor}"

    def _check_inside(self, low: float, high: float, box: tuple[float, float]) -> None:
        tolerance = BOX_TOLERANCE * (high - low) if np.isfinite(high - low) else 0.0
        if box[0] < low - tolerance or box[1] > high + tolerance:
            written = ":".join(f"{number:g}" for number in self.numbers)
            raise UserError(
                f"reaches outside the box {low:g}..{high:g}, where the posterior is not known; train with simulations "
                "from there",
                setting="prior",
                value=f"{self.parameter}={self.kind}:{written}",
            )


@dataclass(frozen=True)
class CorrelationChange:
    """Another correlation of two normal priors: ``Omega_m~sigma_8=-0.7``."""

    first: str
    second: str
    correlation: float

    @property
    def parameter(self) -> str:
        """Both names, in one order."""
        return "~".join(sorted((self.first, self.second)))

    @property
    def names(self) -> tuple[str, ...]:
        """Of both parameters."""
        return (self.first, self.second)

    def apply_to(self, parameters: Parameters, derived: Sequence[str] = ()) -> Parameters:
        """Raises UserError unless both priors are normal, and not derived, and enough of them lies in the box."""
        if derived_names := [name for name in (self.first, self.second) if name in derived]:
            raise UserError("is derived, and has no correlation", setting="prior", value=derived_names[0])
        changed = parameters.with_correlation(self.first, self.second, self.correlation)
        _check_mass(changed, self.parameter)
        return changed

    def describe(self, parameters: Parameters, derived: Sequence[str] = ()) -> str:
        """In words."""
        return f"{self.first}, {self.second}: correlation {self.correlation:g}"


@dataclass(frozen=True)
class CovarianceChange:
    """The correlation (k, k) of k normal priors that stand in one text, in place of any that they had."""

    names: tuple[str, ...]
    correlation: np.ndarray

    @property
    def parameter(self) -> str:
        """All names."""
        return ", ".join(self.names)

    def apply_to(self, parameters: Parameters, derived: Sequence[str] = ()) -> Parameters:
        """Raises UserError where a parameter is derived, or too little of the priors lies in the box."""
        if derived_names := [name for name in self.names if name in derived]:
            raise UserError("is derived, and has no correlation", setting="prior", value=derived_names[0])
        columns = parameters.columns(self.names)
        matrix = np.eye(len(parameters)) if parameters.correlation is None else parameters.correlation.copy()
        matrix[np.ix_(columns, columns)] = self.correlation
        changed = replace(parameters, correlation=matrix)
        _check_mass(changed, self.parameter)
        return changed

    def describe(self, parameters: Parameters, derived: Sequence[str] = ()) -> str:
        """In words."""
        numbers = self.correlation[np.tril_indices(len(self.names), -1)]
        return f"{self.parameter}: correlation {', '.join(f'{number:.4g}' for number in numbers)}"


def _check_mass(parameters: Parameters, name: str) -> None:
    """Raises UserError unless enough of correlated normals lies in the box."""
    prior = JointPrior(parameters.names, parameters.priors, (), parameters.correlation)
    if prior.mass.log < np.log(MIN_MASS_IN_BOX):
        raise UserError(
            f"{100 * np.exp(prior.mass.log):.2g} % of the correlated normals lie in the box, outside which the "
            "posterior is not known; train with simulations from that prior",
            setting="prior",
            value=name,
        )


PriorEdit = PriorChange | CorrelationChange | CovarianceChange


def parse_changes(texts: Sequence[str], names: tuple[str, ...]) -> list[PriorEdit]:
    """Priors first, then correlations. Raises UserError where a text is not understood."""
    correlations: list[CorrelationChange | CovarianceChange] = []
    priors: list[PriorChange] = []
    for text in texts:
        if (normal := CorrelatedNormal.parse(text, names)) is not None:
            std, correlation = normal.standard_form()
            moments = zip(normal.names, normal.means.tolist(), std.tolist(), strict=True)
            priors += [PriorChange(name, Normal.name, (mean, width)) for name, mean, width in moments]
            correlations.append(CovarianceChange(normal.names, correlation))
            continue
        with blame("prior"):
            pair = parse_correlation(text, names)
        if pair is None:
            priors.append(PriorChange.parse(text))
        else:
            correlations.append(CorrelationChange(*pair))
    return [*priors, *correlations]


def with_priors(parameters: Parameters, changes: Sequence[PriorEdit], derived: Sequence[str] = ()) -> Parameters:
    """The parameters under these priors; derived: names of those that are functions of others.

    Raises UserError where two changes name one parameter.
    """
    names = [change.parameter for change in changes]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UserError(f"expected one prior, found {names.count(repeated[0])}", setting="prior", value=repeated[0])
    for change in changes:
        with blame("prior", change.parameter):
            parameters = change.apply_to(parameters, derived)
    return parameters
