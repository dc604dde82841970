"""Checks of rows: too few, duplicated, across the split, or with wrong simulation ids."""

import numpy as np

from cosmoinfer.audit.check import CatalogUnderTest, Check, Finding, error, note, warning
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.split import DEFAULT_FRACTIONS, PARTITIONS

MIN_TRAINING_ROWS = 100
MIN_TEST_SIMULATIONS = 10  # a coverage from ten is known to 15 %
MIN_ROWS_PER_CLASS = 20
MAX_SHARE_ERROR = 0.4  # of a partition, relative to the number of simulations that was meant
MODAL_FRACTION = 0.9  # of the simulations, above which their number of rows is taken as the intended one
MAX_RELATIVE_ROUNDING = 1e-6  # of a parameter's range, in printed tables


def too_few_rows(subject: CatalogUnderTest) -> list[Finding]:
    """Catalogs below the size that a training needs."""
    count, split = len(subject.catalog), subject.training_split
    if count >= MIN_TRAINING_ROWS:
        return []
    text = f"only {count} rows"
    if split is not None:
        train, validation, test = (len(split.select_rows(subject.catalog.simulation, name)) for name in PARTITIONS)
        text += f", of which {train} train, {validation} validate and {test} test"
    return [warning(text, "a training needs hundreds, better thousands")]


def duplicate_rows(subject: CatalogUnderTest) -> list[Finding]:
    """Rows whose data equal those of another row; simulations that share their parameters."""
    findings, catalog, theta = [], subject.catalog, subject.parameter_keys
    _, first, counts = np.unique(subject.duplicate_keys, return_index=True, return_counts=True)
    if (counts > 1).any():
        rows = join_first(np.sort(first[counts > 1]))
        text = f"{int((counts - 1).sum())} rows duplicate the data of another (row {rows})"
        findings.append(warning(text, "remove the duplicates: they count as independent simulations"))
    if catalog.theta is not None and not catalog.classes:
        n_simulations, n_distinct = len(subject.simulation_ids), len(np.unique(theta))
        if 1 < n_distinct < n_simulations:  # one: ``fixed_parameters``
            text = f"{n_simulations} simulations share {n_distinct} sets of parameters"
            remedy = f"if rows share a simulation, give {_id_setting(theta)}"
            findings.append(warning(text, remedy))
    return findings


def _id_setting(theta: np.ndarray) -> str:
    """The setting for ids, by keys (N,) of theta: runs of one length are taken as simulations."""
    edges = np.flatnonzero(np.concatenate([[True], theta[1:] != theta[:-1], [True]]))
    lengths = np.unique(np.diff(edges))
    are_simulations = len(lengths) == 1 and 1 < lengths[0] < len(theta)
    return f"`rows_per_simulation={lengths[0]}`" if are_simulations else "their ids by `simulation`"


def split_leakage(subject: CatalogUnderTest) -> list[Finding]:
    """Rows with equal data, or with equal parameters under other ids, in different partitions of the split."""
    try:
        partition = subject.split.partition_of(subject.catalog.simulation)
    except UserError:  # ``empty_partition`` reports it
        return []
    findings = []
    remedy = "give them one simulation id, or remove the duplicates"
    theta = subject.parameter_keys
    if len(rows := _leaked_rows(subject.duplicate_keys, partition)):
        text = f"{len(rows)} rows of the test or validation partition duplicate the data of training rows"
        findings.append(warning(f"{text} ({subject.catalog.describe_rows(rows)})", remedy))
    if subject.catalog.theta is not None and not subject.catalog.classes and len(np.unique(theta)) > 1:
        rows = _leaked_rows(theta, partition)
        if len(rows):
            text = f"{len(rows)} rows of the test or validation partition have the parameters of training rows"
            findings.append(
                warning(f"{text} ({subject.catalog.describe_rows(rows)}) under another simulation id", remedy)
            )
    return findings


def _leaked_rows(hashes: np.ndarray, partition: np.ndarray) -> np.ndarray:
    """Validation and test rows whose hash a training row has, and test rows whose hash a validation row has."""
    in_training = (partition > 0) & np.isin(hashes, hashes[partition == 0])
    return np.flatnonzero(in_training | ((partition == 2) & np.isin(hashes, hashes[partition == 1])))


def simulation_ids(subject: CatalogUnderTest) -> list[Finding]:
    """Simulations whose number of rows differs from that of the others, or whose rows differ in their parameters."""
    counts = np.bincount(subject.simulation_index)
    return _unusual_row_counts(subject, counts) + _parameters_within_simulations(subject, counts)


def _unusual_row_counts(subject: CatalogUnderTest, counts: np.ndarray) -> list[Finding]:
    mode = np.bincount(counts).argmax()
    unusual, ids = np.flatnonzero(counts != mode), subject.simulation_ids
    if mode == 1 and counts.max() > 1 and (counts == 1).mean() > MODAL_FRACTION:
        text = f"simulation {join_first(ids[unusual])} has several rows, all others have one"
        return [warning(text, "check that these ids are unique")]
    if len(unusual) == 0 or (counts == mode).mean() <= MODAL_FRACTION:
        return []
    simulations = join_first([f"{ids[index]} ({counts[index]})" for index in unusual])
    text = f"{len(unusual)} of {len(counts)} simulations do not have {mode} rows like the others"
    remedy = "look for missing or surplus rows, which shift all rows that follow"
    return [warning(f"{text}: simulation {simulations}", remedy)]


def _parameters_within_simulations(subject: CatalogUnderTest, counts: np.ndarray) -> list[Finding]:
    """Parameters that differ within simulations: in most (wrong ids), in a few, or by design."""
    catalog, index = subject.catalog, subject.simulation_index
    if catalog.theta is None or catalog.classes or catalog.parameters is None or counts.max() == 1:
        return []
    theta = np.where(np.isfinite(catalog.theta), catalog.theta, 0.0)
    extent = np.ptp(theta, axis=0)
    low, high = (np.full((len(counts), theta.shape[1]), sign * np.inf) for sign in (1, -1))
    np.minimum.at(low, index, theta)
    np.maximum.at(high, index, theta)
    differ = (high - low > MAX_RELATIVE_ROUNDING * extent)[counts > 1]  # (G', P)
    share, names = differ.mean(axis=0), np.array(catalog.parameters.names)
    ids = subject.simulation_ids[counts > 1]
    if (share[extent > 0] > 0.5).all() and (extent > 0).any():
        affected = join_first(ids[differ.any(1)])
        text = f"{join_first(names[share > 0.5])} differs between rows of one simulation (id {affected})"
        remedy = "correct them by `simulation` or `rows_per_simulation`"
        return [warning(f"{text}: the ids do not belong to these rows", remedy)]
    findings = []
    if (in_few := (share > 0) & (share <= 0.5)).any():
        simulations = join_first(ids[differ[:, in_few].any(axis=1)])
        text = f"{join_first(names[in_few])} differs between rows of simulation {simulations}, but not of the others"
        remedy = "check whether rows have the id, or the parameters, of another simulation"
        findings.append(warning(text, remedy))
    if (by_design := share > 0.5).any():
        text = f"{join_first(names[by_design])} varies within simulations, whose rows stay together in a split"
        findings.append(note(text))
    return findings


def empty_partition(subject: CatalogUnderTest) -> list[Finding]:
    """Partitions of the split that are empty, or too small for a test."""
    if subject.catalog.theta is None:
        return []
    try:
        sizes = subject.split.sizes
    except UserError as problem:
        return [error(str(problem))]
    empty = [name for name, size in zip(PARTITIONS, sizes, strict=True) if size == 0]
    if empty:
        text = f"the {join_first(empty)} partition of the split is empty ({sum(sizes)} simulations)"
        return [error(text, "change `fractions` or `split_seed`, or add simulations")]
    if sizes[2] < MIN_TEST_SIMULATIONS:
        text = f"only {sizes[2]} simulations are in the test partition, too few to test the calibration of a posterior"
        return [warning(text, "add simulations, or increase the test share in `fractions`")]
    return []


def split_shares(subject: CatalogUnderTest) -> list[Finding]:
    """Shares of the default split that are far from what is meant, by chance, as simulations are few."""
    if subject.catalog.theta is None or subject.training_split is not None or subject.catalog.split_labels is not None:
        return []
    sizes = np.array(subject.split.sizes)
    total = int(sizes.sum())
    expected = total * np.array(DEFAULT_FRACTIONS)
    if (np.abs(sizes - expected) <= MAX_SHARE_ERROR * expected).all():
        return []
    actual, meant = ("/".join(f"{number:.0f}" for number in numbers) for numbers in (sizes, expected))
    text = f"the split has {actual} of {total} simulations, where {meant} were meant: of few, shares are off by chance"
    return [warning(text, "another `split_seed` may come closer, or `split_file` names the test simulations")]


def class_counts(subject: CatalogUnderTest) -> list[Finding]:
    """Catalogs of a single class, and classes with few rows."""
    catalog = subject.catalog
    if not catalog.classes or catalog.theta is None:
        return []
    counts = np.bincount(catalog.theta[:, 0].astype(int), minlength=len(catalog.classes))
    sizes = dict(zip(catalog.classes, counts.tolist(), strict=True))
    present = [name for name, size in sizes.items() if size]
    if len(present) == 1:
        return [error(f"all rows are of class {present[0]}", "a classifier needs two classes or more")]
    small = [f"{name} ({size})" for name, size in sizes.items() if size < MIN_ROWS_PER_CLASS]
    return [warning(f"few rows of class {join_first(small)}", "a classifier needs hundreds of each")] if small else []


CHECKS = {
    "duplicate_rows": Check(duplicate_rows, in_inspect=True),
    "split_leakage": Check(split_leakage, before_training=True),
    "simulation_ids": Check(simulation_ids, before_training=True),
    "empty_partition": Check(empty_partition),
    "split_shares": Check(split_shares),
    "class_counts": Check(class_counts),
    "too_few_rows": Check(too_few_rows, in_inspect=True, before_training=True),
}
