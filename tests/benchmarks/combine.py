"""Several observations of one universe beside the exact posterior of all of them: products, and flows of sets.

    python -m tests.benchmarks.combine [--simulations 1000] [--looks 2,5,15] [--test 100] [--members 2]

A linear Gaussian problem of two parameters, ``looks`` rows a simulation. Printed: nats short of the exact mean log_prob
of the true parameters, with the error over simulations, of one row by its exact posterior, of the product of a flow's
posteriors, and of a flow of sets, all trained by default but for the ensemble; what the products are worth; and how
many of them say that their factors disagree.
"""

import argparse

import numpy as np
from scipy import stats

from cosmoinfer.catalog import Catalog, ReadOptions
from cosmoinfer.models.flow import FlowModel, fit_flow, flow_recipe, product_posterior
from cosmoinfer.preprocessing.fit import fit_preprocessing
from cosmoinfer.sampling.options import SamplingOptions
from cosmoinfer.split import by_hash
from tests.examples import NORMAL, training_context
from tests.sampling.test_product import universes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--looks", default="2,5,15")
    parser.add_argument("--test", type=int, default=100, help="simulations of the test")
    parser.add_argument("--members", type=int, default=2)
    arguments = parser.parse_args()
    for looks in (int(word) for word in arguments.looks.split(",")):
        sims, test = universes(arguments.simulations, looks, 0), universes(arguments.test, looks, 1)
        exact = _log_prob(test, looks, looks)
        product = product_posterior(
            _trained(sims, arguments.members), test, np.arange(len(test)), SamplingOptions(1000)
        )
        of_sets = _trained(sims, arguments.members, observation="simulation")
        heads = of_sets.representatives(test, np.arange(len(test)))
        assert (
            product.log_prob_truth is not None
            and product.diagnostics.ess is not None
            and product.diagnostics.consistency_p_value is not None
        )
        log_probs = {
            "one row, exact": _log_prob(test, looks, 1),
            "product": product.log_prob_truth,
            "set": of_sets.log_prob_of_rows(test, heads, test.theta[heads], 1000, 0),
        }
        short = {name: exact - values for name, values in log_probs.items()}
        shortfalls = "; ".join(
            f"{name} {values.mean():.3f} +- {values.std() / np.sqrt(len(values)):.3f}" for name, values in short.items()
        )
        ess = product.diagnostics.ess
        worth = f"products worth {np.median(ess):.0f} draws, at least {ess.min():.0f}"
        disagree = (product.diagnostics.consistency_p_value < 1e-3).sum()
        print(
            f"{looks} rows: nats short of exact: {shortfalls}; {worth}; {disagree} disagree",
            flush=True,
        )


def _trained(sims: Catalog, members: int, **settings: object) -> FlowModel:
    split = by_hash(sims.simulation)
    frame = fit_preprocessing(sims, split, ReadOptions(), "auto")
    rows = split.sizes[0] if settings else len(split.select_rows(sims.simulation, "train"))
    recipe = flow_recipe(
        {"ensemble": members, **settings}, rows, [observable.row_shape for observable in sims.observables]
    )
    return fit_flow(sims, split, frame, recipe, training_context())


def _log_prob(sims: Catalog, looks: int, used: int) -> np.ndarray:
    """log p(theta | the first ``used`` of the rows of each simulation), (G,)."""
    assert sims.theta is not None
    x = sims.observables[0].values.reshape(-1, looks, len(NORMAL.slope))[:, :used]
    gain = np.linalg.solve(NORMAL.covariance, NORMAL.slope)
    covariance = np.linalg.inv(np.eye(2) + used * NORMAL.slope.T @ gain)
    return stats.multivariate_normal(cov=covariance).logpdf(sims.theta[::looks] - x.sum(axis=1) @ gain @ covariance)


if __name__ == "__main__":
    main()
