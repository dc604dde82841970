"""A normal prior of several parameters together, ``Omega_m,sigma_8=normal:0.31:0.81:1e-4:-5e-5:4e-4``.

Behind the means stands the lower triangle of the covariance, row by row, or nothing where a file holds the covariance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cosmoinfer import storage
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.quoting import split, unquote, write

FORM = "a,b=normal:mean_a:mean_b:var_a:cov_ab:var_b"


@dataclass(frozen=True)
class CorrelatedNormal:
    """names: k of them, all different. means: (k,). covariance: (k, k), or None where a file holds it."""

    names: tuple[str, ...]
    means: np.ndarray
    covariance: np.ndarray | None

    @classmethod
    def parse(cls, text: str, names: Sequence[str]) -> "CorrelatedNormal | None":
        """None where the text names one parameter of these. Raises UserError where it is not understood."""
        *quoted, written = split(text, "=")
        whole_name = "=".join(quoted).strip()
        items = tuple(unquote(name) for name in split(whole_name, ","))
        if len(items) < 2 or whole_name in names:
            return None
        kind, *words = (word.strip() for word in written.split(":"))
        try:
            numbers = np.array([float(word) for word in words])
        except ValueError:
            numbers = np.empty(0)
        count, rows, columns = len(items), *np.tril_indices(len(items))
        valid = kind == "normal" and len(set(items)) == count and np.isfinite(numbers).all()
        if not valid or len(numbers) not in (count, count + len(rows)):
            raise UserError(
                f"{text!r} is not understood; expected a normal of different parameters, {FORM}, or the means alone "
                "with `prior_covariance`",
                setting="prior",
            )
        if len(numbers) == count:
            return cls(items, numbers, None)
        covariance = np.zeros((count, count))
        covariance[rows, columns] = covariance[columns, rows] = numbers[count:]
        return cls(items, numbers[:count], covariance)

    def write(self, covariance: np.ndarray) -> str:
        """The text of it with this covariance (k, k)."""
        numbers = [*self.means.tolist(), *covariance[np.tril_indices(len(self.names))].tolist()]
        return f"{','.join(map(write, self.names))}=normal:{':'.join(map(repr, numbers))}"

    def standard_form(self) -> tuple[np.ndarray, np.ndarray]:
        """Standard deviations (k,) and the correlation (k, k). Raises UserError where the covariance is none."""
        covariance = self.covariance
        if covariance is None:
            raise UserError(
                f"{', '.join(self.names)}: expected a covariance behind the means, {FORM}, or in a file of "
                "`prior_covariance`",
                setting="prior",
            )
        if not (np.diag(covariance) > 0).all() or not (np.linalg.eigvalsh(covariance) > 0).all():
            raise UserError(f"the covariance of {', '.join(self.names)} is not positive definite", setting="prior")
        std = np.sqrt(np.diag(covariance))
        correlation = covariance / np.outer(std, std)
        np.fill_diagonal(correlation, 1.0)  # exactly
        return std, correlation


def with_covariance_of_file(texts: Sequence[str], path: Path, names: Sequence[str]) -> list[str]:
    """The priors with the covariance of a file behind the means of those that have means alone.

    path: names behind # in the first line and the matrix below, as of CosmoMC and Cobaya. Raises UserError where it is
    another file or lacks a parameter, or no prior needs it.
    """
    file_names, covariance = _read_covariance(path)
    completed, used = [], False
    for text in texts:
        normal = CorrelatedNormal.parse(text, names)
        if normal is None or normal.covariance is not None:
            completed.append(text)
            continue
        used = True
        if missing := [name for name in normal.names if name not in file_names]:
            listing = f"has no {join_first(missing)}; its first line names {join_first(file_names, 20)}"
            raise UserError(f"{path}: {listing}", setting="prior_covariance")
        places = [file_names.index(name) for name in normal.names]
        completed.append(normal.write(covariance[np.ix_(places, places)]))
    if not used:
        raise UserError("goes with means in `prior`: a,b=normal:0.3:0.8", setting="prior_covariance")
    return completed


def _read_covariance(path: Path) -> tuple[list[str], np.ndarray]:
    head, *lines = storage.load_text(path).strip().splitlines() or [""]
    file_names = head.removeprefix("#").split()
    try:
        matrix = np.array([[float(word) for word in line.split()] for line in lines if line.strip()])
    except ValueError:
        matrix = np.empty(0)
    if not head.startswith("#") or matrix.shape != 2 * (len(file_names),) or not np.isfinite(matrix).all():
        raise UserError(
            f"{path}: expected names behind # in the first line, and a line of the matrix for each", "prior_covariance"
        )
    if not np.allclose(matrix, matrix.T, rtol=1e-4, atol=0):
        raise UserError(f"{path}: the matrix is not symmetric", setting="prior_covariance")
    return file_names, (matrix + matrix.T) / 2
