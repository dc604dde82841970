"""Trials of settings, in a journal that many processes share. The only importer of Optuna.

The journal is text, a line of JSON for each change. A trial that its process gave up, or left behind when it was
killed, is handed back: the next process to ask for one gets its settings and its number again.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosmoinfer import seeding, storage
from cosmoinfer.errors import UserError, join_first

if TYPE_CHECKING:
    import optuna

STUDY = "cosmoinfer"
REPORTS = 10  # of the validation rows, in a training that is not pruned
MIN_TRIALS = 5  # complete ones before any is pruned
MIN_REPORTS = 3  # of a trial before it is pruned: those of a pilot
DIGITS = 3  # of a real setting
FIRST_BYTES = b'{"'  # of a journal
NUMBER, AGAIN = "trial", "again"  # attributes of a trial: its number in reports and names; whether it was handed back


class PrunedError(Exception):
    """A training is worse than half of those before it were at the same epoch, and ends."""


@dataclass(frozen=True)
class TrialRecord:
    """A trial that has ended. settings: by name. log_prob: of the validation rows, in nat; None where it was pruned."""

    number: int
    settings: Mapping[str, Any]
    log_prob: float | None


@dataclass(frozen=True)
class Trial:
    """A trial that is under way, whose values the sampler chooses (``search.Suggestions``)."""

    number: int
    handle: "optuna.Trial"

    def choose(self, name: str, choices: Sequence[str]) -> str:
        """One of several names."""
        return str(self.handle.suggest_categorical(name, list(choices)))

    def whole_number(self, name: str, low: int, high: int, log: bool) -> int:
        """A whole number from ``low`` to ``high``."""
        return self.handle.suggest_int(name, low, high, log=log)

    def real_number(self, name: str, low: float, high: float, log: bool) -> float:
        """A real number from ``low`` to ``high``."""
        return _rounded(self.handle.suggest_float(name, low, high, log=log))

    def listen(self, epoch: int, epochs: int, training: float, validation: float) -> None:
        """Report a validation loss now and then. Raises PrunedError where the training is not worth going on."""
        step = REPORTS * epoch // epochs
        if step > REPORTS * (epoch - 1) // epochs and epoch < epochs:
            self.handle.report(-validation, step)
            if self.handle.should_prune():
                raise PrunedError


class Journal:
    """The trials of one search, by the path of their file.

    Raises UserError where Optuna is not installed, and where the file is no journal, or cannot be read or written.
    """

    def __init__(self, path: Path, seed: int) -> None:
        self.path, self.seed = path, seed
        self._optuna = _import_optuna()
        with self._errors_of_file():
            if path.exists() and path.stat().st_size and not path.read_bytes().startswith(FIRST_BYTES):
                raise UserError(f"{path}: is no journal of Optuna; name another `journal`")
            backend = self._optuna.storages.journal.JournalFileBackend(str(path))
            self._study = self._optuna.create_study(
                storage=self._optuna.storages.JournalStorage(backend),
                study_name=STUDY,
                direction="maximize",
                sampler=self._sampler(0),
                pruner=self._optuna.pruners.MedianPruner(MIN_TRIALS, MIN_REPORTS),
                load_if_exists=True,
            )

    def check(self, meta: storage.JSONObject) -> None:
        """Raises UserError, which names what differs, if the trials are of other settings or inputs."""
        with self._errors_of_file():
            standing = self._study.user_attrs.get("meta")
            if standing is None:
                self._study.set_user_attr("meta", meta)
                return
        if different := storage.differences(standing, meta):
            raise UserError(
                f"{self.path}: its trials have other settings or inputs ({join_first(different, 3)}); with those again "
                "the search goes on, another `output` or `journal` begins a new one"
            )

    @property
    def support(self) -> str | None:
        """Which all trials share; None before it is chosen."""
        support = self._attribute("support")
        return None if support is None else str(support)

    def begin(self, support: str, settings: Mapping[str, Any]) -> None:
        """Set the support and the settings of trial 0."""
        with self._errors_of_file():
            self._study.enqueue_trial(dict(settings), skip_if_exists=True)
            self._study.set_user_attr("support", support)

    def is_closed(self, name: str) -> bool:
        """Whether no trial is to be begun any more for a selection of this name."""
        return bool(self._attribute(f"closed: {name}"))

    def close(self, name: str) -> None:
        """Let no process begin another trial for this selection; those that are under way go on."""
        with self._errors_of_file():
            self._study.set_user_attr(f"closed: {name}", True)

    def selection(self, name: str) -> list[int] | None:
        """The numbers of trials that a process has selected under this name, for all others too."""
        numbers = self._attribute(f"selection: {name}")
        return None if numbers is None else [int(number) for number in numbers]

    def select(self, name: str, numbers: Sequence[int]) -> None:
        """Let this be the selection of this name."""
        with self._errors_of_file():
            self._study.set_user_attr(f"selection: {name}", list(numbers))

    def records(self) -> list[TrialRecord]:
        """The trials that have ended, by number."""
        states = self._optuna.trial.TrialState
        ended = self._trials(states.COMPLETE, states.PRUNED)
        records = [
            TrialRecord(
                int(trial.user_attrs[NUMBER]),
                {name: _rounded(value) if isinstance(value, float) else value for name, value in trial.params.items()},
                trial.value if trial.state == states.COMPLETE else None,
            )
            for trial in ended
        ]
        return sorted(records, key=lambda record: record.number)

    def best(self, top: int) -> list[int]:
        """The numbers of the best trials, ``top`` of them at most. Raises UserError if none was completed."""
        complete = [record for record in self.records() if record.log_prob is not None]
        if not complete:
            raise UserError(f"{self.path}: none of its trials was completed; see `learning_rate`")
        ranked = sorted(complete, key=lambda record: (-(record.log_prob or 0.0), record.number))
        return sorted(record.number for record in ranked[:top])

    def check_score(self, record: TrialRecord, log_prob: float | None) -> None:
        """log_prob: that the model of a trial has. Raises UserError where the journal was edited to hold another."""
        if log_prob is None or record.log_prob is None or not math.isclose(record.log_prob, log_prob, rel_tol=1e-9):
            raise UserError(
                f"{self.path}: holds log_prob {record.log_prob} of trial {record.number}, whose model has {log_prob}; "
                "was it edited?"
            )

    def next_trial(self) -> Trial:
        """One that was handed back, or a new one."""
        with self._errors_of_file():
            handle = self._study.ask()
            attributes = handle.user_attrs
            if AGAIN in attributes:
                number = int(attributes[NUMBER])
            else:  # how many new ones were before it, so that numbers do not depend on those that were handed back
                number = sum(trial.number < handle.number and AGAIN not in trial.user_attrs for trial in self._trials())
                handle.set_user_attr(NUMBER, number)
            self._study.sampler = self._sampler(number)
            return Trial(number, handle)

    def finish(self, trial: Trial, log_prob: float | None) -> None:
        """Record what a trial has come to; None where it was pruned. What another process has recorded stays."""
        state = self._optuna.trial.TrialState.PRUNED if log_prob is None else None
        with self._errors_of_file():
            self._study.tell(trial.handle.number, log_prob, state=state, skip_if_finished=True)

    def hand_back(self, trial: Trial) -> None:
        """Let another process, or this one when it is started again, take a trial that has not ended."""
        with suppress(OSError):  # of a disk that takes nothing: then it is found abandoned
            self._give_back(trial.handle.number, trial.number)

    def reclaim(self, is_abandoned: Callable[[int], bool]) -> None:
        """Hand back those whose process was killed. is_abandoned: of the number of a trial."""
        for trial in self._trials(self._optuna.trial.TrialState.RUNNING):
            number = trial.user_attrs.get(NUMBER)
            if number is not None and is_abandoned(int(number)):
                with self._errors_of_file():
                    self._give_back(trial.number, int(number))

    def _give_back(self, handle: int, number: int) -> None:
        (trial,) = (entry for entry in self._trials() if entry.number == handle)
        if not trial.state.is_finished():
            self._study.tell(handle, state=self._optuna.trial.TrialState.FAIL)
            self._study.enqueue_trial(trial.params, user_attrs={NUMBER: number, AGAIN: True})

    def _trials(self, *states: Any) -> "list[optuna.trial.FrozenTrial]":
        with self._errors_of_file():
            return self._study.get_trials(deepcopy=False, states=states or None)

    def _attribute(self, name: str) -> Any:
        with self._errors_of_file():
            return self._study.user_attrs.get(name)

    def _sampler(self, number: int) -> Any:
        """Of one trial, so that its values depend on those that have ended and not on the process."""
        seed = int(seeding.generator(self.seed, "trial", number).integers(2**31))
        return self._optuna.samplers.TPESampler(seed=seed)

    @contextmanager
    def _errors_of_file(self) -> Iterator[None]:
        """Raises UserError in place of what a damaged file, or a disk, makes Optuna raise."""
        try:
            yield
        except UserError:
            raise
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read or written ({error.strerror})") from error
        except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(f"{self.path}: is no journal of Optuna, or damaged ({reason})") from error


def _rounded(value: float) -> float:
    """As it is trained with: to so few digits that a user can type them."""
    return float(f"{value:.{DIGITS}g}")


def _import_optuna() -> Any:
    """Raises UserError where it is not installed."""
    try:
        import optuna
    except ImportError:
        raise UserError(
            "tune requires Optuna, which is not installed; `pip install cosmoinfer[tune]` brings it"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
