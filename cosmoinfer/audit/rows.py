"""Whether rows are enough, stand there once, and belong to the simulations and the parts of the split that they say."""

import numpy as np

from cosmoinfer.audit.catalog_under_test import Subject
from cosmoinfer.audit.finding import Finding, error, note, warning
from cosmoinfer.errors import UserError, listed
from cosmoinfer.split import PARTITIONS

FEW_ROWS = 100
FEW_TESTS = 10  # simulations: a coverage of ten is known to 15 %
FEW_OF_A_CLASS = 20
USUAL = 0.9  # the share of simulations that makes a number of rows the usual one
SAME = 1e-6  # of a parameter's range: the rounding of printed tables


def enough(subject: Subject) -> list[Finding]:
    count = len(subject.catalog)
    return [warning(f"only {count} rows; a flow wants hundreds, better thousands")] if count < FEW_ROWS else []


def repeated(subject: Subject) -> list[Finding]:
    """Rows whose data are those of another row; simulations that share their parameters."""
    found, catalog, hashes = [], subject.catalog, subject.hashes
    _, first, counts = np.unique(subject.copies, return_index=True, return_counts=True)
    if (counts > 1).any():
        rows = listed(np.sort(first[counts > 1]))
        text = f"{int((counts - 1).sum())} rows repeat the data of another (row {rows})"
        found.append(warning(f"{text}; leave the copies out, they count as simulations that were never run"))
    if catalog.theta is not None and not catalog.classes:
        simulations, different = len(subject.ids), len(np.unique(hashes[:, 0]))
        if 1 < different < simulations:  # one: a fixed set, which is told as such
            text = f"{simulations} simulations share {different} sets of parameters; do rows of one carry one id?"
            found.append(warning(text + _runs(hashes[:, 0])))
    return found


def _runs(theta: np.ndarray) -> str:
    """Equal parameters that follow one another in runs of one length, (N,) hashes, are rows of one simulation."""
    edges = np.flatnonzero(np.concatenate([[True], theta[1:] != theta[:-1], [True]]))
    lengths = np.unique(np.diff(edges))
    same = len(lengths) == 1 and 1 < lengths[0] < len(theta)
    return f" --rows-per-simulation {lengths[0]} says so" if same else " --simulation names their ids"


def across(subject: Subject) -> list[Finding]:
    """The same data, or the same parameters under other ids, on two sides of the split: a test that was learned."""
    try:
        part = subject.split.partition_of(subject.catalog.simulation)
    except UserError:  # is told by ``parts``
        return []
    found = []
    mend = "give them one simulation id, or leave the copies out"
    theta = subject.hashes[:, 0]
    if len(rows := _shared(subject.copies, part)):
        text = f"{len(rows)} rows of the test or validation part repeat the data of training rows"
        found.append(warning(f"{text} ({subject.catalog.describe_rows(rows)}): what is tested was learned; {mend}"))
    if subject.catalog.theta is not None and not subject.catalog.classes and len(np.unique(theta)) > 1:
        rows = _shared(theta, part)
        if len(rows):
            text = f"{len(rows)} rows of the test or validation part have the parameters of training rows"
            found.append(warning(f"{text} ({subject.catalog.describe_rows(rows)}) under another simulation id; {mend}"))
    return found


def _shared(hashes: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Validation and test rows whose hash a training row has; test rows whose hash a validation row has."""
    seen = (part > 0) & np.isin(hashes, hashes[part == 0])
    return np.flatnonzero(seen | ((part == 2) & np.isin(hashes, hashes[part == 1])))


def ids(subject: Subject) -> list[Finding]:
    """Whether the rows of a simulation are as many as those of the others, and of the same parameters."""
    counts = np.bincount(subject.number)
    return _counts(subject, counts) + _within(subject, counts)


def _counts(subject: Subject, counts: np.ndarray) -> list[Finding]:
    usual = np.bincount(counts).argmax()
    odd = np.flatnonzero(counts != usual)
    if usual == 1 and counts.max() > 1 and (counts == 1).mean() > USUAL:
        text = f"simulation {listed(subject.ids[odd])} has several rows, all others have one; are these ids unique?"
        return [warning(text)]
    if len(odd) == 0 or (counts == usual).mean() <= USUAL:
        return []
    told = listed([f"{subject.ids[one]} ({counts[one]})" for one in odd])
    text = f"{len(odd)} of {len(counts)} simulations have not {usual} rows as the others have: simulation {told}"
    return [warning(f"{text}; look for rows that are missing or in excess, which shift all that follow")]


def _within(subject: Subject, counts: np.ndarray) -> list[Finding]:
    """Parameters that differ within a simulation: all of them (wrong ids), a few rows, or some by design."""
    catalog, number = subject.catalog, subject.number
    if catalog.theta is None or catalog.classes or catalog.parameters is None or counts.max() == 1:
        return []
    theta = np.where(np.isfinite(catalog.theta), catalog.theta, 0.0)
    span = np.ptp(theta, axis=0)
    low, high = (np.full((len(counts), theta.shape[1]), sign * np.inf) for sign in (1, -1))
    np.minimum.at(low, number, theta)
    np.maximum.at(high, number, theta)
    differ = (high - low > SAME * span)[counts > 1]  # (G', P)
    share, names = differ.mean(axis=0), np.array(catalog.parameters.names)
    several = subject.ids[counts > 1]
    if (share[span > 0] > 0.5).all() and (span > 0).any():
        text = (
            f"{listed(names[share > 0.5])} differs between rows of one simulation (id {listed(several[differ.any(1)])})"
        )
        return [warning(f"{text}: the ids are not those of these rows; --simulation or --rows-per-simulation mends it")]
    found = []
    if (strange := (share > 0) & (share <= 0.5)).any():
        which = several[differ[:, strange].any(axis=1)]
        text = f"{listed(names[strange])} differs between rows of simulation {listed(which)}, and of no other"
        found.append(warning(f"{text}; some of their rows carry the id, or the parameters, of another simulation"))
    if (by_design := share > 0.5).any():
        text = f"{listed(names[by_design])} varies within simulations, whose rows stay together in a split"
        found.append(note(text))
    return found


def parts(subject: Subject) -> list[Finding]:
    """Whether the split, the catalog's own or the default one, leaves something to train on and to test with."""
    if subject.catalog.theta is None:
        return []
    try:
        sizes = subject.split.sizes
    except UserError as broken:
        return [error(str(broken))]
    empty = [name for name, size in zip(PARTITIONS, sizes, strict=True) if size == 0]
    if empty:
        text = f"the {listed(empty)} part of the split is empty ({sum(sizes)} simulations)"
        return [error(f"{text}; change --fractions or --split-seed, or add simulations")]
    if sizes[2] < FEW_TESTS:
        text = f"only {sizes[2]} simulations are in the test part: whether a posterior is calibrated cannot be told"
        return [warning(f"{text}; add simulations, or test on more of them (--fractions)")]
    return []


def classes(subject: Subject) -> list[Finding]:
    """Classes without a row, or with few."""
    catalog = subject.catalog
    if not catalog.classes or catalog.theta is None:
        return []
    counts = np.bincount(catalog.theta[:, 0].astype(int), minlength=len(catalog.classes))
    there = [name for name, count in zip(catalog.classes, counts, strict=True) if count]
    if len(there) == 1:
        return [error(f"all rows are of class {there[0]}; there is nothing to tell apart")]
    few = [f"{name} ({count})" for name, count in zip(catalog.classes, counts, strict=True) if count < FEW_OF_A_CLASS]
    if few:
        return [warning(f"few rows of class {listed(few)}; a classifier wants hundreds of each")]
    return []
