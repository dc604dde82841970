"""What is unlike the training data, on real CAMELS histories: false alarms, and what is found.

    python -m tests.benchmarks.ood

Over split seeds 0, 1, 2, the scalings and distances of a default training on IllustrisTNG; its flow has no embedding,
so that none needs to be trained. Flagged: a percentile above 95. Held-out TNG histories as they are; with one bin off
(each of the 100 in turn); with scatter in every bin; and histories of SIMBA. Then the p-values of sets of 50. Nothing
was tuned on these rows: what was compared, was compared on validation rows. Exits with 1 where the data are missing.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy import stats

import cosmoinfer
from cosmoinfer import split
from cosmoinfer.catalog import Catalog, ReadOptions
from cosmoinfer.ood.detector import OutOfDistribution, data_features, fit_detector
from cosmoinfer.preprocessing.fit import fit_preprocessing
from cosmoinfer.preprocessing.state import Preprocessing
from tests.benchmarks.camels import CATALOG, HISTORIES, SEEDS

LEVEL = 95
SET = 50
DEX = (0.01, 0.02, 0.04)


@dataclass(frozen=True)
class Fitted:
    """What a model trained on one split would find unlike its training rows."""

    preprocessing: Preprocessing
    split: split.Split
    detector: OutOfDistribution

    def spaces(self, catalog: Catalog) -> list[np.ndarray]:
        return data_features(self.preprocessing, catalog, np.arange(len(catalog)))


def detectors(sims: Catalog) -> list[Fitted]:
    """One a split seed, fitted to its training and validation rows."""
    fitted = []
    for seed in SEEDS:
        partitions = split.by_hash(sims.simulation, split.DEFAULT_FRACTIONS, seed)
        preprocessing = fit_preprocessing(sims, partitions, ReadOptions(), "auto")
        spaces = partial(data_features, preprocessing)
        n_training_rows = len(partitions.select_rows(sims.simulation, "train"))
        detector = fit_detector(preprocessing, spaces, sims, partitions, n_training_rows)
        assert detector is not None
        fitted.append(Fitted(preprocessing, partitions, detector))
    return fitted


def percentiles(fitted: Fitted, sims: Catalog, histories: np.ndarray) -> np.ndarray:
    """(n,) of histories (n, 100) that stand in no catalog."""
    return fitted.detector.percentile(fitted.spaces(observations(sims, histories)))


def observations(sims: Catalog, histories: np.ndarray) -> Catalog:
    ids = np.arange(len(histories))
    summary = replace(sims.observables[0], values=histories)
    return replace(sims, parameters=None, theta=None, observables=(summary,), simulation=ids.astype(str), index=ids)


def one_bin_off(histories: np.ndarray, factor: float) -> np.ndarray:
    """(100 n, 100): each bin of each history in turn."""
    count, bins = histories.shape
    return (histories[:, None] * (1 + (factor - 1) * np.eye(bins))).reshape(count * bins, bins)


def scattered(histories: np.ndarray, dex: float) -> np.ndarray:
    """Independent log-normal noise in every bin."""
    return histories * 10 ** np.random.default_rng(0).normal(0, dex, histories.shape)


def alarms(fitted: Fitted, sims: Catalog, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """(n,) of each test history, the share of what ``change`` makes of it that is flagged."""
    rows = fitted.split.select_rows(sims.simulation, "test")
    changed = change(sims.observables[0].values[rows].astype(np.float64))
    return (percentiles(fitted, sims, changed) > LEVEL).reshape(len(rows), -1).mean(axis=1)


def main() -> None:
    if not CATALOG.exists():
        sys.exit(f"{CATALOG} is missing; COSMOINFER_SHARED names the folder that has data/")
    sims = cosmoinfer.read_catalog(CATALOG)
    simba = np.load(HISTORIES / "SFRH_SIMBA.npy", allow_pickle=False).astype(np.float64)
    fitted_detectors = detectors(sims)
    changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "held-out TNG": lambda histories: histories,
        "one bin 20 % up": lambda histories: one_bin_off(histories, 1.2),
        "one bin 20 % down": lambda histories: one_bin_off(histories, 0.8),
        "one bin half": lambda histories: one_bin_off(histories, 0.5),
        "one bin double": lambda histories: one_bin_off(histories, 2.0),
        **{f"scatter of {dex} dex": lambda histories, dex=dex: scattered(histories, dex) for dex in DEX},  # type: ignore[misc]
    }
    print(f"flagged (percentile above {LEVEL}), split seeds {', '.join(map(str, SEEDS))}, then pooled")
    for name, change in changes.items():
        print_shares(name, [alarms(fitted, sims, change) for fitted in fitted_detectors])
    print_shares("SIMBA", [(percentiles(fitted, sims, simba) > LEVEL).astype(float) for fitted in fitted_detectors])
    counts = [int(alarms(fitted, sims, changes["held-out TNG"]).sum()) for fitted in fitted_detectors]
    tested = sum(len(fitted.split.select_rows(sims.simulation, "test")) for fitted in fitted_detectors)
    chance = stats.binomtest(sum(counts), tested, 1 - LEVEL / 100).pvalue
    print(f"held-out TNG: {sum(counts)} of {tested} flagged, 5 % expected; binomial p = {chance:.2f}")

    print(f"\np-value of a set of {SET} (MMD): " + ", ".join(f"split seed {seed}" for seed in SEEDS))
    for name, histories in sets(sims, simba, fitted_detectors).items():
        print(
            f"{name:28}"
            + " ".join(
                f"{p_value(fitted, sims, suite_histories):7.3f}"
                for fitted, suite_histories in zip(fitted_detectors, histories, strict=True)
            )
        )


def sets(sims: Catalog, simba: np.ndarray, fitted_detectors: list[Fitted]) -> dict[str, list[np.ndarray]]:
    """By name, one a split seed."""
    rows = [fitted.split.select_rows(sims.simulation, "test")[:SET] for fitted in fitted_detectors]
    held_out = [sims.observables[0].values[rows_of_split].astype(np.float64) for rows_of_split in rows]
    return {
        "held-out TNG": held_out,
        "the same, scatter 0.02 dex": [scattered(histories, 0.02) for histories in held_out],
        "the same, 10 % higher": [1.1 * histories for histories in held_out],
        "SIMBA": [simba[:SET] for _ in fitted_detectors],
    }


def p_value(fitted: Fitted, sims: Catalog, histories: np.ndarray) -> float:
    ids = np.arange(len(histories)).astype(str)
    views = fitted.detector.views(fitted.spaces(observations(sims, histories)))
    return fitted.detector.mmd_test.p_value(views, ids, 0)


def print_shares(name: str, shares: list[np.ndarray]) -> None:
    """A row of the table: the error clusters what is made of one history."""
    pooled = np.concatenate(shares)
    means = " ".join(f"{share.mean():6.3f}" for share in shares)
    print(f"{name:28}{means}   {pooled.mean():.3f} +- {pooled.std() / np.sqrt(len(pooled)):.3f}", flush=True)


if __name__ == "__main__":
    main()
