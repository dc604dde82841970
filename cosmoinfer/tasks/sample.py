"""Draw from the posteriors of observations under a trained model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmoinfer import posterior as posteriors
from cosmoinfer.device import prepare_device
from cosmoinfer.posterior import Posterior
from cosmoinfer.tasks.provenance import is_up_to_date
from cosmoinfer.tasks.reading import warn_of_training_rows
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.sampling_job import RowSelection, SamplingJob, SamplingOptions, prepare_sampling
from cosmoinfer.tasks.settings import (
    READING,
    RUN,
    CatalogSettings,
    RunSettings,
    check_keywords,
    names_of_fields,
    select_keywords,
)

SAMPLING = tuple(name for name in names_of_fields(SamplingOptions) if name != "seed")
SETTINGS = (*READING, "memory", *RUN, *SAMPLING, "split", "rows")


@dataclass(frozen=True)
class SampledPosterior:
    """A posterior and the file that holds it. complete: it was there already."""

    output: Path
    posterior: Posterior
    complete: bool = False

    def describe(self) -> str:
        """In one line."""
        return f"{self.output}: {len(self.posterior)} rows, {_describe_draws(self.posterior)}"


def write_posterior(
    model: Path,
    catalog: Path,
    keywords: Mapping[str, Any],
    output: Path | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
) -> SampledPosterior:
    """Sample rows of a catalog, and write the posterior unless it is up to date.

    keywords: settings by the name of their option. Raises UserError if a setting, the model or the catalog is not
    usable.
    """
    check_keywords("sample", keywords, SETTINGS)
    output = output or model.with_name(f"{model.stem}.posterior.h5")
    job = prepare_from_keywords(model, catalog, keywords)
    part = keywords.get("split")
    return draw_and_write(job, part, output, force, reporter)


def prepare_from_keywords(model: Path, catalog: Path, keywords: Mapping[str, Any]) -> SamplingJob:
    """Raises UserError if a setting, the model or the catalog is not usable."""
    options = select_keywords(SamplingOptions, keywords)
    run = select_keywords(RunSettings, keywords)
    device = prepare_device(run.device, run.threads)
    selection = RowSelection(keywords.get("split"), keywords.get("rows"))
    return prepare_sampling(model, catalog, CatalogSettings.from_keywords(keywords), selection, options, device)


def draw_and_write(
    job: SamplingJob, part: str | None, output: Path, force: bool, reporter: Reporter
) -> SampledPosterior:
    """Draw what is to be sampled, and write it unless it is up to date. part: of the split, if one was named."""
    if is_up_to_date(output, "posterior", job.provenance, reporter, force):
        return SampledPosterior(output, posteriors.read(output, leave_large=True), complete=True)
    warn_of_training_rows(job.parts, part, reporter)
    posterior = job.draw(reporter, output.parent)
    posteriors.write(output, posterior, job.provenance, force)
    return SampledPosterior(output, posterior)


def _describe_draws(posterior: Posterior) -> str:
    """What there is of each row."""
    if posterior.classes is not None:
        return f"probabilities of {len(posterior.classes.names)} classes"
    return "a point and no draws each" if posterior.draws is None else f"{posterior.draws.count} draws each"
