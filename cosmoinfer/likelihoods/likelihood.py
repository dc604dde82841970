"""A likelihood: a trained model bound to observations, as a function of the parameters that any sampler can call.

Numpy in, numpy out; its file holds all that it needs.
"""

from __future__ import annotations  # help() shows ArrayLike by its name

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import ArrayLike

from cosmoinfer import seeding
from cosmoinfer.catalog import Catalog
from cosmoinfer.device import limited_threads
from cosmoinfer.errors import UserError, describe_type, join_first, warn
from cosmoinfer.likelihoods.anomaly import draw_inside, ood_percentiles
from cosmoinfer.likelihoods.bound_density import BoundDensity
from cosmoinfer.likelihoods.bound_flow import BoundFlow
from cosmoinfer.memory import slices
from cosmoinfer.models import DensityModel, FlowModel
from cosmoinfer.parameters import Parameters
from cosmoinfer.printable import one_line
from cosmoinfer.storage import JSONObject

BINDINGS: dict[str, type[BoundDensity | BoundFlow]] = {binding.kind: binding for binding in (BoundDensity, BoundFlow)}
TEST_POINTS = 5  # at which a file holds values, by which reading tests it
TEST_RTOL, TEST_ATOL = 1e-9, 1e-6  # of these, in double precision
PROPOSALS_PER_POINT = 1000  # for a test point inside box and region


@dataclass(frozen=True)
class Observed:
    """The J observations that a likelihood is of.

    index: (J,) row numbers in their catalog. simulation: (J,) ids. data: (J, ...) of each observable, by name, in
    catalog units. ood_percentile: (J,) among validation rows, 0 to 100, where the model knows it.
    """

    index: np.ndarray
    simulation: np.ndarray
    data: Mapping[str, np.ndarray]
    ood_percentile: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True)
class Likelihood:
    """L(theta) = sum_j ln p(x_j | theta) of J independent observations, natural, in catalog units.

    Of a flow over its prior, ln p(x_j | theta) up to a constant: ln q(theta | x_j) - ln p(theta).

    bound: the model with the observations in it. observed: these observations. test_points, test_values: (5, P) inside
    the box, and L there in double precision. threads: of torch, during a call. provenance: the /meta of its file.
    """

    bound: BoundDensity | BoundFlow
    observed: Observed
    test_points: np.ndarray
    test_values: np.ndarray
    provenance: JSONObject = field(default_factory=dict)
    threads: int = 1

    def __call__(self, theta: ArrayLike) -> np.ndarray:
        """L at theta (P,) or (n, P): (), or (n,), float64; -inf outside box and region, and where theta is NaN.

        Raises UserError for theta of another shape.
        """
        points, inside = self._read(theta)
        values = np.full(len(points), -np.inf)
        with limited_threads(self.threads), torch.no_grad():
            for chunk in self._chunks(inside):
                values[chunk] = self.bound.log_likelihood(torch.from_numpy(points[chunk])).numpy()
        return values[0] if np.ndim(theta) == 1 else values

    def gradient(self, theta: ArrayLike) -> np.ndarray:
        """dL / d theta, of the shape of theta, (P,) or (n, P), float64; NaN where L is -inf.

        Raises UserError for theta of another shape.
        """
        points, inside = self._read(theta)
        gradient = np.full(points.shape, np.nan)
        with limited_threads(self.threads), torch.enable_grad():
            for chunk in self._chunks(inside):
                at = torch.from_numpy(points[chunk]).requires_grad_()
                (slopes,) = torch.autograd.grad(self.bound.log_likelihood(at).sum(), at)
                gradient[chunk] = slopes.numpy()
        return gradient[0] if np.ndim(theta) == 1 else gradient

    # --------------------------------------------------------------------------------------- what samplers ask for
    @property
    def parameters(self) -> Parameters:
        """Names, labels, box and prior of theta."""
        return self.bound.parameters

    @property
    def names(self) -> tuple[str, ...]:
        """(P,), in the order of theta's columns."""
        return self.parameters.names

    @property
    def labels(self) -> tuple[str, ...]:
        """(P,) LaTeX, for figures."""
        return self.parameters.labels

    @property
    def bounds(self) -> np.ndarray:
        """(P, 2): low and high, -inf and inf where there is no edge."""
        return np.stack([self.parameters.low, self.parameters.high], axis=1)

    @property
    def kind(self) -> str:
        """``density`` or ``flow over prior``."""
        return self.bound.kind

    @property
    def prior_accounting(self) -> str:
        """What became of the prior, in words; it is in no likelihood, and a posterior takes it once."""
        return self.bound.prior_accounting

    def log_prior(self, theta: ArrayLike) -> np.ndarray:
        """ln p(theta) of the catalog, natural: (P,) -> (), (n, P) -> (n,); NaN where a prior is unknown.

        Raises UserError for theta of another shape.
        """
        points = self._points(theta)
        log_prior = self.parameters.log_prior(points)
        return log_prior[0] if np.ndim(theta) == 1 else log_prior

    def prior_transform(self, u: ArrayLike) -> np.ndarray:
        """Points of the unit cube as draws of the catalog's prior: (P,) -> (P,), (n, P) -> (n, P).

        Raises UserError where the prior is unknown or no product, and for u of another shape.
        """
        parameters, points = self.parameters, self._points(u, "u")
        unknown = _unknown_priors(parameters)
        if unknown:
            raise UserError(f"the prior of {join_first(unknown)} is unknown")
        if parameters.joint_prior.tied:
            ties = parameters.joint_prior.describe()
            raise UserError(f"the prior is no product ({ties}): take `bounds` and `log_prior` in its place")
        theta = parameters.quantile(points)
        return theta[0] if np.ndim(u) == 1 else theta

    def __repr__(self) -> str:
        rows = f"{len(self.observed)} observation{'s' * (len(self.observed) > 1)}"
        return one_line(f"Likelihood of {', '.join(self.names)}, from {rows}: {self.kind}, {self.prior_accounting}")

    # ---------------------------------------------------------------------------------------------------- self-test
    def compute_test_values(self) -> np.ndarray:
        """L at the test points, (5,), in double precision."""
        with limited_threads(1), torch.no_grad():
            return self.bound.in_double().log_likelihood(torch.from_numpy(self.test_points)).numpy()

    def check_test_values(self) -> None:
        """Raises UserError where the likelihood gives other values than those that it was written with."""
        values = self.compute_test_values()
        same = np.isclose(values, self.test_values, rtol=TEST_RTOL, atol=TEST_ATOL)
        if not same.all():
            number = int(np.argmin(same))
            raise UserError(
                f"its self-test fails: ln L at test point {number} was {self.test_values[number]:.9g}, and is now "
                f"{values[number]:.9g}; the file was changed, or another version wrote it: bind the observation again"
            )

    # ------------------------------------------------------------------------------------------------------- points
    def _points(self, theta: ArrayLike, name: str = "theta") -> np.ndarray:
        """(n, P) float64. Raises UserError for another shape."""
        try:
            points = np.array(theta, dtype=np.float64, ndmin=2)
        except (TypeError, ValueError) as error:
            raise UserError(f"{name}: expected numbers, found {describe_type(theta)}") from error
        if np.ndim(theta) not in (1, 2) or points.shape[1] != len(self.names):
            count = len(self.names)
            raise UserError(f"{name}: expected shape ({count},) or (n, {count}), found {np.shape(theta)}")
        return points

    def _read(self, theta: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """(n, P), and the positions of those inside box and region, (k,); warns of NaN."""
        points = self._points(theta)
        undefined = np.isnan(points).any(axis=1)
        if undefined.any():
            warn("theta holds NaN: there the log likelihood is -inf")
        finite = np.isfinite(points).all(axis=1)
        inside = self.parameters.inside(np.where(finite[:, None], points, 0.0)) & finite
        return points, np.flatnonzero(inside)

    def _chunks(self, positions: np.ndarray) -> list[np.ndarray]:
        """As many positions at once as memory allows."""
        return [positions[chunk] for chunk in slices(len(positions), self.bound.points_per_call)]


def _unknown_priors(parameters: Parameters) -> list[str]:
    """Names of the parameters whose prior is unknown."""
    return [name for name, has_prior in zip(parameters.names, parameters.has_prior, strict=True) if not has_prior]


def missing_likelihood(model: DensityModel | FlowModel) -> str:
    """Why a model has no likelihood, in words; empty where it has one."""
    if isinstance(model, DensityModel):
        return "" if model.condition is not None else "is p(x), without parameters; expected p(x | theta)"
    if model.set_size:
        return "takes all rows of a simulation at once (`observation=simulation`); expected a flow of single rows"
    parameters = model.preprocessing.parameters
    unknown = _unknown_priors(parameters)
    if unknown:
        return (
            f"is divided by its prior, which is unknown for {join_first(unknown)}: train on a catalog that declares it "
            "(`bounds`), or a density, which needs none"
        )
    return ""


def bind(
    model: DensityModel | FlowModel,
    catalog: Catalog,
    rows: np.ndarray,
    seed: int = 0,
    provenance: JSONObject | None = None,
) -> Likelihood:
    """The likelihood of rows (J,) of a catalog, by position, under a model: the sum of their log likelihoods.

    seed: of test points, and of the draws that normalise a flow that overflows its box.

    Raises UserError for a model that has no likelihood, and for an observation at which it is not defined.
    """
    if reason := missing_likelihood(model):
        raise UserError(f"the {model.kind} {reason}")
    if isinstance(model, FlowModel):
        bound: BoundDensity | BoundFlow = BoundFlow.bind(model, catalog, rows, seed)
    else:
        bound = BoundDensity.bind(model, catalog, rows)
    points = _test_points(bound, seed)
    data = {observable.name: np.asarray(observable.read(rows)) for observable in catalog.observables}
    observed = Observed(catalog.index[rows], catalog.simulation[rows].astype(str), data)
    likelihood = Likelihood(bound, observed, points, np.zeros(len(points)), provenance or {})
    values = likelihood.compute_test_values()
    if not np.isfinite(values).all():
        raise UserError(
            f"{catalog.path}: {catalog.describe_rows(rows)}: the likelihood is not finite at points of the prior: "
            "too unlike the training data"
        )
    with limited_threads(likelihood.threads):
        percentile = ood_percentiles(model, bound, catalog, rows, seed)
    return replace(likelihood, observed=replace(observed, ood_percentile=percentile), test_values=values)


def _test_points(bound: BoundDensity | BoundFlow, seed: int) -> np.ndarray:
    """(5, P) inside box and region. Raises UserError where none are found."""
    points = draw_inside(bound, PROPOSALS_PER_POINT * TEST_POINTS, seeding.generator(seed, "test points"))[:TEST_POINTS]
    if len(points) < TEST_POINTS:
        raise UserError("no points were found inside box and region of the parameters")
    return points
