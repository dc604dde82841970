"""Judge rows by a density of the data: how likely they are, and how far from typical."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmoinfer import storage
from cosmoinfer.device import device_settings
from cosmoinfer.models.density import scores
from cosmoinfer.models.density.scores import Scores
from cosmoinfer.settings import check_keywords
from cosmoinfer.tasks.model_sources import open_for_model, read_model_of_kind, require_model_first
from cosmoinfer.tasks.provenance import (
    catalog_inputs,
    is_up_to_date,
    output_beside,
    task_provenance,
    with_node_settings,
)
from cosmoinfer.tasks.reading import select_rows, warn_of_training_rows
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.run_settings import RUN, RunSettings
from cosmoinfer.tasks.settings import READ_OPTIONS, ROWS, RowSettings, select_keywords


@dataclass(frozen=True)
class ScoredRows:
    """Scores and the file that holds them."""

    output: Path
    scores: Scores

    @property
    def anomalous(self) -> int:
        """Rows that are less typical than 99 % of the validation rows."""
        return int((self.scores.p_value < scores.OUTLIER_P_VALUE).sum())

    def describe(self) -> str:
        """In one line."""
        share = f"more anomalous than {100 * (1 - scores.OUTLIER_P_VALUE):g} % of the validation rows"
        return f"{self.output}: {len(self.scores)} rows; {self.anomalous} {share}"


def write_scores(
    model: Path,
    path: Path,
    keywords: Mapping[str, Any],
    output: Path | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
) -> ScoredRows:
    """Score rows of a catalog under a density, and write the scores unless they are up to date.

    keywords: settings by the name of their option. Raises UserError if a setting or a file is not usable.
    """
    check_keywords("score", keywords, (*READ_OPTIONS, *RUN, *ROWS))
    output, selected = (
        output or output_beside(model, ".scores.h5"),
        select_keywords(RowSettings, keywords),
    )
    keywords = with_node_settings(keywords, force, output)
    device = select_keywords(RunSettings, keywords).prepare_device()
    require_model_first("score", model, path)
    density = read_model_of_kind(model, "density", device)
    catalog = open_for_model(density.preprocessing, path, keywords)
    for conversion in catalog.conversions:
        reporter.info(conversion)
    rows = select_rows(density.training_record, catalog, selected.split, selected.rows)
    density.scale_parameters(None if catalog.theta is None else catalog.theta[rows], catalog.path)  # if it can be
    warn_of_training_rows(density.training_record, catalog, rows, selected.split, reporter)
    settings = {"rows": catalog.index[rows].tolist(), **device_settings(device)}
    inputs = {**catalog_inputs(catalog), "model": storage.file_digest(model)}
    meta = task_provenance("score", settings, inputs)
    if is_up_to_date(output, "scores", meta, reporter, force):
        scored = scores.read(output)
    else:
        scored = scores.score_rows(density, catalog, rows, reporter.rows("scoring row"))
        scores.write(output, scored, meta, force)
    if 2 / (1 + len(density.typicality.residuals)) > scores.OUTLIER_P_VALUE:
        count = len(density.typicality.residuals)
        reporter.info(
            f"only {count} validation rows to compare with: no p-value can be below {scores.OUTLIER_P_VALUE:g}"
        )
    return ScoredRows(output, scored)
