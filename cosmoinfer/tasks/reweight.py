"""Put a posterior under another prior, add derived parameters, and marginalise others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import posterior as posteriors
from cosmoinfer import reweighting
from cosmoinfer.errors import UserError, blame, join_first
from cosmoinfer.formatting import count_text
from cosmoinfer.importance_sampling import MIN_EFFECTIVE_DRAWS
from cosmoinfer.parameters import Parameters
from cosmoinfer.posterior import ObservationSummary, Posterior, summarise_observations
from cosmoinfer.quoting import quote, split_names
from cosmoinfer.reweighting import ChainPrior, PriorEdit
from cosmoinfer.settings import check_keywords
from cosmoinfer.tasks.provenance import is_up_to_date, output_beside, task_provenance
from cosmoinfer.tasks.reporter import SILENT, Reporter
from cosmoinfer.tasks.settings import OutputSettings, names_of_fields, select_keywords
from cosmoinfer.tasks.sources import PosteriorSource, chain_digest, is_chain, open_chain, open_posterior


@dataclass(frozen=True)
class ReweightingSettings:
    """prior, prior_covariance, where, derive, keep: as of ``reweight``.

    draws: to keep of each row. seed: of which are kept.
    skip_failed: leave out rows of which too few draws lie under the new prior.
    """

    prior: Mapping[str, str] | tuple[str, ...] = ()
    prior_covariance: Path | None = None
    where: tuple[str, ...] = ()
    derive: Mapping[str, str] | tuple[str, ...] = ()
    keep: str | tuple[str, ...] | None = None
    draws: int | None = None
    seed: int = 0
    skip_failed: bool = False


@dataclass(frozen=True)
class ReweightedPosterior:
    """left_out: row numbers of which too few draws lie under the new prior."""

    output: Path | None
    posterior: Posterior
    left_out: tuple[int, ...]

    @property
    def draws(self) -> int:
        """Of each row."""
        return self.posterior.require_draws().count

    @cached_property
    def observations(self) -> tuple[ObservationSummary, ...]:
        """What each observation says, if they are a few."""
        return summarise_observations(self.posterior)

    @property
    def ess(self) -> np.ndarray | None:
        """Effective number of draws, (n,), where another prior was given."""
        return self.posterior.diagnostics.ess if self.posterior.reweighted else None

    def describe(self) -> str:
        """In one line."""
        names = ", ".join(self.posterior.parameters.names)
        line = f"{self.output}: {count_text(len(self.posterior), 'row')}, {self.draws} draws of {names}"
        if self.ess is None:
            return line
        if len(self.posterior) == 1:
            return f"{line}; worth {self.ess[0]:.0f}"
        worst = int(np.argmin(self.ess))
        row = f"the worst (row {self.posterior.index[worst]}) {self.ess[worst]:.0f}"
        return f"{line}; worth {np.median(self.ess):.0f} draws each, {row}"


def reweight(
    posterior: PosteriorSource,
    *,
    prior: Mapping[str, str] | Sequence[str | Path] | None = None,
    prior_covariance: Path | str | None = None,
    where: Sequence[str] | str | None = None,
    derive: Mapping[str, str] | Sequence[str] | None = None,
    keep: Sequence[str] | str | None = None,
    draws: int | None = None,
    seed: int = 0,
    skip_failed: bool = False,
    output: Path | str | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
) -> Posterior:
    """Put a posterior under another prior, by weighting its draws, add parameters that others determine, and
    marginalise those that are not to be kept, in this order.

    posterior: a path or an object.
    prior: ``{"Omega_m": "normal:0.31:0.01"}``, or as ``cosmoinfer reweight`` takes it; ``{"w0~wa": "-0.7"}`` correlates
        two normals; ``["planck"]`` is a chain, or a posterior file of one row, whose density in the parameters that
        both have is their prior. That of a derived parameter multiplies the prior of those that it is derived from.
    prior_covariance: a text file with the covariance of ``["Omega_m,sigma_8=normal:0.31:0.81"]`` of `prior`, which has
        the means: names behind # in the first line, the matrix below.
    where: conditions that hold in the region to which the prior is cut, ``w0+wa<0``.
    derive: ``{"S_8": "sigma_8*(Omega_m/0.3)**0.5"}``, or as ``cosmoinfer reweight`` takes it.
    keep: ``["Omega_m", "S_8"]``, or ``"Omega_m,S_8"``: the parameters whose posterior it is afterwards, by default all.
    draws: to keep of each row, with another prior. seed: of which draws are kept.
    skip_failed: leave out rows of which too few draws lie under the new prior.
    output: the file to write, if any; a complete one of the same settings is read.

    Raises UserError, a ValueError, which names the setting that is not usable.
    """
    if prior is not None and not isinstance(prior, Mapping | str):
        prior = [str(text) if isinstance(text, Path) else text for text in prior]
    changes = {"prior": prior, "prior_covariance": prior_covariance, "where": where, "derive": derive, "keep": keep}
    settings = {**changes, "draws": draws, "seed": seed, "skip_failed": skip_failed}
    to = OutputSettings.from_arguments(output, force, reporter)
    return _reweight(posterior, settings, to.output, to.force, to.reporter).posterior


def write_reweighted(
    file: Path, keywords: Mapping[str, Any], output: Path | None, force: bool, reporter: Reporter
) -> ReweightedPosterior:
    """The same for the command line.

    keywords: settings by the name of their option. Raises UserError if a setting or the posterior is not usable.
    """
    change = "reweighted" if _has_new_prior(keywords) else "derived" if keywords.get("derive") else "marginal"
    output = output or output_beside(file, f".{change}.h5")
    return _reweight(file, keywords, output, force, reporter)


def _reweight(
    source: PosteriorSource, keywords: Mapping[str, Any], output: Path | None, force: bool, reporter: Reporter
) -> ReweightedPosterior:
    check_keywords("reweight", keywords, names_of_fields(ReweightingSettings))
    checked = select_keywords(ReweightingSettings, keywords)
    prior, derive, where = map(_assignments, (checked.prior, checked.derive, checked.where))
    draws, seed, skip_failed = checked.draws, checked.seed, checked.skip_failed
    keep = None if checked.keep is None else split_names(checked.keep)
    if not prior and not derive and not where and keep is None:
        raise UserError(
            "nothing to do: `prior` or `where` changes the prior, `derive` adds a parameter, `keep` leaves others out"
        )
    if draws is not None and not _has_new_prior(keywords):
        raise UserError("goes with `prior` or `where`, without which every draw is kept", setting="draws")
    opened = open_posterior(source, leave_large=False)
    original = opened.posterior
    original.require_draws()
    names = reweighting.derived_names(derive, original.parameters.names)
    derived = (*original.derived, *names)
    parameters = original.parameters.concatenated(Parameters.from_names(names))
    chains = [text for text in prior if is_chain(text)]
    prior = [text for text in prior if text not in chains]
    if checked.prior_covariance is not None:
        prior = reweighting.with_covariance_of_file(prior, checked.prior_covariance, parameters.names)
    changes = reweighting.parse_changes(prior, parameters.names)
    parameters = reweighting.with_priors(parameters, changes, derived).with_where(where)
    chain = _chain_prior(chains, parameters, derived)
    if chain is not None:
        _check_named_once(changes, chain)
        parameters = chain.apply_to(parameters, derived)
    if keep is not None:
        with blame("keep"):
            parameters.columns(keep)
    settings = {"prior": prior, "derive": derive, "draws": draws, "skip_failed": skip_failed, "seed": seed}
    settings |= ({"where": where} if where else {}) | ({} if keep is None else {"keep": list(keep)})
    inputs = {"posterior": opened.digest} | ({} if chain is None else {"chain": chain_digest(chain.chain)})
    meta = task_provenance("reweight", settings, inputs)
    files = [Path(source)] if isinstance(source, Path | str) else []
    if output is not None and is_up_to_date(output, "posterior", meta, reporter, force, *files):
        posterior = posteriors.read(output)
    else:
        posterior = reweighting.derive(original, derive)
        if _has_new_prior(keywords):
            for change in changes:
                reporter.info(change.describe(parameters, derived))
            for condition in where:
                reporter.info(f"cut to the region where {condition}")
            if chain is not None:
                reporter.info(chain.describe(parameters))
            posterior = reweighting.reweight(posterior, parameters, draws, seed, skip_failed, chain)
        if keep is not None:
            posterior = reweighting.marginalise(posterior, keep)
        if output is not None:
            posteriors.write(output, posterior, meta, force)
    left_out = tuple(sorted(set(original.index.tolist()) - set(posterior.index.tolist())))
    reweighted = ReweightedPosterior(output, posterior, left_out)
    _warn_of_few_draws(reweighted, reporter)
    return reweighted


def _has_new_prior(keywords: Mapping[str, Any]) -> bool:
    """Whether there is another prior, and not only a derived parameter."""
    return bool(keywords.get("prior") or keywords.get("where"))


def _chain_prior(paths: Sequence[str], parameters: Parameters, derived: Sequence[str]) -> ChainPrior | None:
    """Raises UserError for more than one chain, or one that gives no prior of these parameters."""
    if len(paths) > 1:
        raise UserError(f"expected one chain, found {join_first(paths)}", setting="prior")
    with blame("prior"):
        return ChainPrior.of_shared(open_chain(Path(paths[0])), parameters, derived) if paths else None


def _check_named_once(changes: Sequence[PriorEdit], chain: ChainPrior) -> None:
    """Raises UserError where a prior of the user is of a parameter that a chain gives one."""
    for change in changes:
        if named := [name for name in change.names if name in chain.names]:
            raise UserError(f"has a prior from {chain.chain.name} already", setting="prior", value=named[0])


def _assignments(settings: Mapping[str, str] | tuple[str, ...]) -> list[str]:
    """NAME=TEXT each, or conditions. Two names that are correlated, a~b, are no single one."""
    if isinstance(settings, Mapping):
        return [
            f"{name if '~' in name or name.isidentifier() else quote(name)}={text}" for name, text in settings.items()
        ]
    return list(settings)


def _warn_of_few_draws(reweighted: ReweightedPosterior, reporter: Reporter) -> None:
    posterior, ess = reweighted.posterior, reweighted.ess
    if reweighted.left_out:
        reporter.info(f"left out, too few draws lie under the new prior: row {join_first(reweighted.left_out)}")
    if ess is None:
        return
    too_few = ess < MIN_EFFECTIVE_DRAWS
    if too_few.any():
        reporter.warn(
            f"{int(too_few.sum())} of {len(posterior)} posteriors are worth less than {MIN_EFFECTIVE_DRAWS} draws "
            f"(row {join_first(posterior.index[too_few])}): the new prior is narrow, or lies where few draws are; "
            "sample more (sample `draws`), or train with that prior"
        )
    if posterior.truth is not None:
        reporter.info("simulations from the old prior are no fair test of these posteriors: their truths follow it")
