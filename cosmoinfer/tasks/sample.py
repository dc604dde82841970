"""Draw from the posteriors of observations under a trained model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from cosmoinfer import posterior as posteriors
from cosmoinfer import storage
from cosmoinfer.catalog import Catalog
from cosmoinfer.errors import UserError, join_first
from cosmoinfer.formatting import count_text
from cosmoinfer.posterior import ObservationSummary, Posterior, summarise_observations
from cosmoinfer.sampling.shard import Shard
from cosmoinfer.settings import check_keywords
from cosmoinfer.tasks.model_sources import ModelSource
from cosmoinfer.tasks.model_verdict import ModelVerdict, verdict_beside
from cosmoinfer.tasks.provenance import is_up_to_date, stem_of_rows, with_node_settings
from cosmoinfer.tasks.reading import report_placeholders, warn_of_training_rows
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.run_settings import RUN
from cosmoinfer.tasks.sampling_job import SamplingJob, prepare_sampling
from cosmoinfer.tasks.settings import READ_OPTIONS, ROWS, OutputSettings

SETTINGS = (*READ_OPTIONS, *RUN, *ROWS, "draws", "skip_failed", "combine", "recalibrate", "shard")


@dataclass(frozen=True)
class SampledPosterior:
    """A posterior and the file that holds it. complete: it was there already. model_verdict: of the model that it was
    drawn from, where an evaluation lies beside it."""

    output: Path | None
    posterior: Posterior
    complete: bool = False
    model_verdict: ModelVerdict | None = None

    @cached_property
    def observations(self) -> tuple[ObservationSummary, ...]:
        """What each observation says, if they are a few."""
        return summarise_observations(self.posterior)

    def describe(self) -> str:
        """In one line."""
        posterior = self.posterior
        rows, each = count_text(len(posterior), "row"), " each" * (len(posterior) != 1)
        content = f"a point and no draws{each}"
        if posterior.classes is not None:
            content = f"probabilities of {len(posterior.classes.names)} classes"
        elif posterior.draws is not None:
            content = f"{posterior.draws.count} draws{each}"
        elif not len(posterior):
            content = "of which none could be sampled"
        return f"{self.output}: {rows}, {content}"


def sample(
    model: ModelSource,
    catalog: Path | str | Catalog | None = None,
    *,
    output: Path | str | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
    **settings: Any,
) -> Posterior:
    """Draw from the posterior of each row: the model's own test rows, or the whole of another catalog.

    model, catalog: paths or objects. For observations in arrays there is ``model.sample(x)``.
    output: the file to write, if any; a complete one of the same settings is read in place of drawing.
    settings: the options of ``cosmoinfer sample`` by name, as ``draws=1000``, ``split="test"``, ``rows=[3, 5]``.

    Raises UserError, a ValueError, which names the setting that is not usable.
    """
    to = OutputSettings.from_arguments(output, force, reporter)
    check_keywords("sample", settings, SETTINGS)
    job = prepare_sampling(model, catalog, with_node_settings(settings, to.force, to.output))
    return draw_and_write(job, to.output, to.force, to.reporter).posterior


def write_posteriors(
    paths: Sequence[Path],
    catalog: Path,
    keywords: Mapping[str, Any],
    output: Path | None,
    force: bool,
    reporter: Reporter,
) -> list[SampledPosterior]:
    """The same for the command line, of one or several models.

    keywords: settings by the name of their option. output: of one model; several name theirs.

    Raises UserError if a setting, a model or the catalog is not usable.
    """
    if output is not None and len(paths) > 1:
        raise UserError(f"names one file; {len(paths)} models name a posterior each", setting="output")
    if len({*paths}) < len(paths):
        raise UserError(f"expected different models, found {join_first(paths)}")
    shard = keywords.get("shard")
    suffix = "" if shard is None else f"-{Shard.parse(shard).file_suffix}"
    names = [f"{stem_of_rows(path, catalog)}.posterior{suffix}.h5" for path in paths]
    outputs = [output or storage.require_file(path).with_name(name) for path, name in zip(paths, names, strict=True)]
    check_keywords("sample", keywords, SETTINGS)
    jobs = []
    for path, output in zip(paths, outputs, strict=True):  # of all, before the first is drawn
        try:
            jobs.append(prepare_sampling(path, catalog, with_node_settings(keywords, force, output)))
        except UserError as error:
            if len(paths) == 1 or str(path) in error.message:
                raise
            raise UserError(f"{path}: {error.message}", error.setting, error.value) from error
    sampled = [draw_and_write(job, output, force, reporter) for job, output in zip(jobs, outputs, strict=True)]
    return [replace(entry, model_verdict=verdict_beside(path)) for entry, path in zip(sampled, paths, strict=True)]


def draw_and_write(job: SamplingJob, output: Path | None, force: bool, reporter: Reporter) -> SampledPosterior:
    """Draw what is to be sampled, and write it unless it is up to date, or has no output."""
    if output is not None and is_up_to_date(output, "posterior", job.provenance, reporter, force):
        return SampledPosterior(output, posteriors.read(output, leave_large=True), complete=True)
    warn_of_training_rows(job.model.training_record, job.catalog, job.drawn_rows, job.partition, reporter)
    report_placeholders(job.catalog, job.drawn_rows, reporter)
    posterior = job.draw(reporter, None if output is None else output.parent)
    if output is not None:
        posteriors.write(output, posterior, job.provenance, force)
    return SampledPosterior(output, posterior)
