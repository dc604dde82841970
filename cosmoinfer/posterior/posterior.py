"""Posteriors of many observations, with what is needed to judge them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import __version__, exporters, storage
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.formatting import count_text, format_with_error
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior.classes import ClassProbabilities
from cosmoinfer.posterior.diagnostics import Diagnostics
from cosmoinfer.posterior.draws import (
    LARGE_DATASETS,
    DrawArray,
    Draws,
    PointEstimate,
    arrays_at,
    concatenated,
    map_rows,
    select_rows,
)
from cosmoinfer.printable import html, one_line
from cosmoinfer.priors import Unknown

ROWS_IN_REPR = 5
NO_DIAGNOSTICS = Diagnostics()


@dataclass(frozen=True, repr=False)
class Posterior:
    """n posteriors of P parameters, one for each observation; in the units of the catalog, natural logarithms.

    ``posterior.samples`` is (n, S, P), ``posterior["Omega_m"]`` the draws (n, S) of one parameter.

    parameters: names, prior box and priors of the P parameters.
    index: (n,), row numbers of the observations in their catalog.
    simulation: (n,), identifiers of the simulations that they come from.
    split: (n,), 0 train, 1 validation, 2 test, 255 neither.
    truth: (n, P), the true parameters, NaN in rows where they are not known; None where they are known of none.
    log_prob_truth: (n,), natural logarithm of the posterior density at the truth.
    draws: of a model that can be sampled.
    point: mean and width where they are known beyond the draws.
    classes: of a classifier, whose only parameter is the number of the class.
    diagnostics: out-of-distribution scores, effective sample sizes and the like.
    reweighted: whether the prior is another than the one from which the simulations, and so the truths, were drawn.
    exact: whether it is the true posterior of simulations, and not that of a model.
    derived: names of the last parameters, which are functions of the others; log_prob is a density of those others.
    """

    parameters: Parameters
    index: np.ndarray
    simulation: np.ndarray
    split: np.ndarray
    truth: np.ndarray | None = None
    log_prob_truth: np.ndarray | None = None
    draws: Draws | None = None
    point: PointEstimate | None = None
    classes: ClassProbabilities | None = None
    diagnostics: Diagnostics = NO_DIAGNOSTICS
    reweighted: bool = False
    derived: tuple[str, ...] = ()
    exact: bool = False

    def __post_init__(self) -> None:
        if self.truth is not None:
            complete = np.isfinite(self.truth).all(axis=1) | np.isnan(self.truth).all(axis=1)
            if not complete.all():
                rows = join_first(self.index[~complete].tolist())
                raise UserError(f"truth: expected finite numbers, or NaN throughout a row, found others (row {rows})")
        if self.classes is not None:
            self.classes.check(self.index)
            self._check_target(len(self.classes.names))

    @classmethod
    def empty(cls, parameters: Parameters) -> "Posterior":
        """Of no observation."""
        return cls(parameters, np.zeros(0, np.int64), np.zeros(0, np.str_), np.zeros(0, np.uint8))

    @classmethod
    def concatenated(cls, posteriors: Sequence["Posterior"]) -> "Posterior":
        """Those of different observations by the same model, one after the other.

        Raises UserError where some have what others have not, or a number that is of all observations differs.
        """
        names = [field.name for field in fields(cls) if field.name != "parameters"]
        values = {name: concatenated(name, [getattr(posterior, name) for posterior in posteriors]) for name in names}
        return replace(posteriors[0], **values)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, name: str) -> np.ndarray:
        """The draws of one parameter, (n, S), in memory.

        Raises UserError where there are no draws, or no parameter of this name.
        """
        (column,) = self.parameters.columns([name])
        return map_rows(self.samples, lambda samples: samples[..., column])

    @property
    def has_truth(self) -> np.ndarray:
        """(n,) bool: whether the true parameters of an observation are known."""
        if self.truth is None:
            return np.zeros(len(self), dtype=bool)
        return ~np.isnan(self.truth).all(axis=1)

    @property
    def samples(self) -> DrawArray:
        """The draws, (n, S, P). Raises UserError where there are none."""
        return self.require_draws().samples

    @property
    def log_prob(self) -> DrawArray:
        """log of the posterior density at the draws, (n, S). Raises UserError where it is not known."""
        log_prob = self.require_draws().log_prob
        if log_prob is None:
            raise UserError("the posterior holds draws without their log_prob")
        return log_prob

    @property
    def mean(self) -> np.ndarray | None:
        """(n, P): that of the point estimate if there is one, else of the draws; None of a classifier."""
        if self.point is not None:
            return self.point.mean
        return None if self.draws is None else self.draws.mean()

    @property
    def std(self) -> np.ndarray | None:
        """(n, P): that of the point estimate if it has one, else of the draws; None where no width is known."""
        if self.point is not None and self.point.std is not None:
            return self.point.std
        return None if self.draws is None else self.draws.std()

    @cached_property
    def independent_parameters(self) -> Parameters:
        """The parameters that are not derived from others: those of ``log_prob``. They come first.

        Their prior is not known where a prior or a condition of a derived parameter is a part of it.
        """
        names = self.parameters.names
        count = len(names) - len(self.derived)
        independent = self.parameters.select(names[:count])
        compared = {name for condition in self.parameters.conditions for name in condition.names}
        if compared & set(self.derived) or any(prior.is_known for prior in self.parameters.priors[count:]):
            return independent.untied.with_prior([Unknown.name] * count)
        return independent

    def require_draws(self) -> Draws:
        """The draws. Raises UserError where the posterior has none."""
        if self.draws is None:
            content = "points and no draws" if self.classes is None else "probabilities of classes"
            raise UserError(f"the posterior holds {content}; expected one of a flow, or of a regressor with widths")
        return self.draws

    def require_truth(self) -> np.ndarray:
        """The true parameters, (n, P). Raises UserError where none is known."""
        if self.truth is None:
            raise UserError(
                "the posterior has no true parameters to compare with; sample a catalog that holds them: "
                "cosmoinfer.sample(model, catalog), with catalog_from_arrays(theta=theta, x=x) for arrays"
            )
        return self.truth

    def save(self, path: Path | str, force: bool = False) -> None:
        """As ``read_posterior`` and the commands read it. Raises UserError if the path is taken, unless forced."""
        command = "simulate" if self.exact else "sample"
        storage.write(Path(path), self.to_file({"version": __version__, "command": command}), force)

    @property
    def draw_table(self) -> exporters.DrawTable:
        """What formats of other tools hold. Raises UserError where there are no draws, or no observation."""
        draws = self.require_draws()
        if not len(self):
            raise UserError("the posterior holds no observation")
        identity, content = (self.derived, self.index, self.simulation), (draws.samples, draws.log_prob, self.truth)
        return exporters.DrawTable(self.parameters, *identity, *content)

    def to_getdist(self, row: int = 0) -> Any:
        """``getdist.MCSamples`` of ``samples[row]``. Raises UserError where there are no draws, or no such row."""
        if not -len(self) <= row < len(self):
            raise UserError(f"expected 0 to {len(self) - 1}, found {row}", setting="row")
        return exporters.to_getdist(self.select(np.array([row])).draw_table)

    def to_arviz(self) -> Any:
        """``arviz.InferenceData`` of all rows. Raises UserError where there are no draws, or no ArviZ."""
        return exporters.to_arviz(self.draw_table)

    def to_pandas(self) -> Any:
        """``pandas.DataFrame`` of all draws, and their ``row``. Raises UserError where none are, or no pandas is."""
        return exporters.to_pandas(self.draw_table)

    def to_file(self, meta: storage.JSONObject) -> storage.FileContents:
        """A dataset for each array, by the name that it has here. meta: how the posterior was made."""
        arrays = {
            "index": self.index.astype(np.int64),
            "simulation": self.simulation,
            "split": self.split.astype(np.uint8),
            "names": np.array(self.parameters.names),
        }
        marks = {"derived": self.derived or None, "reweighted": self.reweighted or None}
        attributes = {"names": self.parameters.attributes() | marks}
        values: dict[str, DrawArray | float | None] = {"truth": self.truth, "log_prob_truth": self.log_prob_truth}
        for table in (self.draws, self.point, self.diagnostics):
            values |= {} if table is None else {field.name: getattr(table, field.name) for field in fields(table)}
        if self.truth is not None:
            attributes["truth"] = self.parameters.attributes()
        if self.classes is not None:
            values["probabilities"] = self.classes.probabilities
            attributes["probabilities"] = {"names": self.classes.names}
        for name in LARGE_DATASETS:  # the last ones, in memory or not: the bytes of a file are the same
            values[name] = values.pop(name, None)
        large = {name: value for name, value in values.items() if isinstance(value, storage.OnDiskArray)}
        for name, value in values.items():
            if value is not None and name not in large:
                arrays[name] = np.asarray(value, np.float64)  # draws may fill half of the memory: no copy
        return storage.FileContents("posterior", meta, arrays, attributes, on_disk=large)

    def select(self, rows: np.ndarray) -> "Posterior":
        """These observations only: rows is (n,) bool, or positions. ``ood_set_p_value`` is dropped with any row."""
        taken = replace(
            self,
            **arrays_at(self, rows),
            draws=None if self.draws is None else select_rows(self.draws, rows),
            point=None if self.point is None else select_rows(self.point, rows),
            classes=None if self.classes is None else select_rows(self.classes, rows),
            diagnostics=select_rows(self.diagnostics, rows),
        )
        if len(taken) == len(self):
            return taken
        return replace(taken, diagnostics=replace(taken.diagnostics, ood_set_p_value=None))

    def __repr__(self) -> str:
        lines = [f"Posterior of {self._content}"]
        for title, values in self._table():
            pairs = zip(self._columns, values, strict=True)
            lines.append(f"  {title}: {', '.join(f'{name} = {value}' for name, value in pairs)}")
        if len(self) > ROWS_IN_REPR:
            lines.append("  ...")
        return "\n".join(map(one_line, lines))

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html(name)}</th>" for name in ("", *self._columns))
        rows = ["".join(f"<td>{html(cell)}</td>" for cell in (title, *values)) for title, values in self._table()]
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        more = f"<p>... {len(self)} rows in all</p>" if len(self) > ROWS_IN_REPR else ""
        return f"<p><b>Posterior</b> of {html(self._content)}</p><table><tr>{head}</tr>{body}</table>{more}"

    @property
    def _content(self) -> str:
        observations, names = count_text(len(self), "observation"), self.parameters.names
        if self.classes is not None:
            return f"{observations}: probabilities of {len(self.classes.names)} classes"
        if self.draws is None:
            return f"{observations}: points, no draws, of {', '.join(names)}"
        draws = f"{self.draws.count} draw{'s' if self.draws.count > 1 else ''}{' each' if len(self) > 1 else ''}"
        return f"{observations}: {draws} of {', '.join(names)}"

    @property
    def _columns(self) -> tuple[str, ...]:
        return self.parameters.names if self.classes is None else self.classes.names

    def _table(self) -> list[tuple[str, list[str]]]:
        """Row numbers of the first few observations, with mean and width of every parameter, or class probabilities."""
        first = self.select(np.arange(min(len(self), ROWS_IN_REPR)))
        mean, std = first.mean, first.std
        if first.classes is not None:
            cells = [[f"{value:.3g}" for value in row] for row in first.classes.probabilities]
        elif mean is None:
            return []
        elif std is None:
            cells = [[f"{value:.4g}" for value in row] for row in mean]
        else:
            cells = [
                [format_with_error(*pair) for pair in zip(*row, strict=True)] for row in zip(mean, std, strict=True)
            ]
        return [(f"row {number}", row) for number, row in zip(first.index.tolist(), cells, strict=True)]

    def _check_target(self, count: int) -> None:
        """Of a classifier: one parameter, whose truths are class numbers."""
        names = self.parameters.names
        if len(names) != 1:
            raise UserError(f"probabilities: expected one target, found {len(names)} ({join_first(names)})")
        if self.truth is not None and not (valid := np.isin(self.truth[:, 0], np.arange(count))).all():
            rows = join_first(self.index[~valid].tolist())
            raise UserError(f"{names[0]}: expected class numbers from 0 to {count - 1}, found others (row {rows})")
