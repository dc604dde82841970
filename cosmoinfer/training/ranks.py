"""Ranks: processes of one job that train the same networks, each with its share of every batch.

All compute the same but for their share, and agree on what they decide, so that they stay equal bit for bit; the result
is that of one process but for the rounding of sums. A launcher says who they are: torchrun, or srun of SLURM on one
node. They talk through the memory of the CPU (gloo), whatever the device.
"""

import atexit
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch

from cosmoinfer.errors import UserError
from cosmoinfer.numerals import whole_number
from cosmoinfer.stopping import STOP_REQUEST

TIMEOUT = timedelta(minutes=30)  # after which a rank that says nothing counts as lost; one that died is noticed at once
LOOPBACK = "lo"
LAUNCHERS = (  # number of a rank, how many there are, number on the node; srun sets none in the batch script itself
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),  # torchrun
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),  # srun
)


@dataclass(frozen=True)
class Ranks:
    """The ranks of a training, as the one of this number, 0, 1, ... sees them; by default this process is all."""

    number: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this rank writes files and reports."""
        return self.number == 0

    def share(self, rows: int) -> slice:
        """Which of so many rows are this rank's; shares differ by one at most."""
        bounds = np.linspace(0, rows, self.count + 1).astype(int)
        return slice(int(bounds[self.number]), int(bounds[self.number + 1]))

    def gather(self, terms: torch.Tensor, rows: int) -> torch.Tensor:
        """The terms (M, rows, ...) of all ranks, from those of each one's share; gradients flow into its own."""
        if self.count == 1:
            return terms
        shares = [Ranks(number, self.count).share(rows) for number in range(self.count)]
        longest = max(share.stop - share.start for share in shares)
        padded = torch.zeros(terms.shape[0], longest, *terms.shape[2:])
        padded[:, : terms.shape[1]] = terms.detach().cpu().float()
        gathered = [torch.empty_like(padded) for _ in shares]
        with self._collective():
            torch.distributed.all_gather(gathered, padded)
        pieces = [other[:, : share.stop - share.start].to(terms) for other, share in zip(gathered, shares, strict=True)]
        pieces[self.number] = terms
        return torch.cat(pieces, dim=1)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Over all ranks."""
        if self.count == 1:
            return values
        total = values.detach().cpu()
        with self._collective():
            torch.distributed.all_reduce(total)
        return total.to(values)

    def any(self, condition: bool) -> bool:
        """Whether it holds on one of them."""
        return condition if self.count == 1 else bool(self.sum(torch.tensor(float(condition))) > 0)

    def require_equal(self, name: str, text: Callable[[], str]) -> None:
        """Raises UserError, on all ranks, where a text is not the same on all of them. name: what it is, in words.

        text: makes it, where there are other ranks.
        """
        if self.count == 1:
            return
        digest = torch.from_numpy(np.frombuffer(hashlib.sha256(text().encode()).digest(), np.uint8).copy())
        digests = [torch.empty_like(digest) for _ in range(self.count)]
        with self._collective():
            torch.distributed.all_gather(digests, digest)
        different = [number for number, other in enumerate(digests) if not torch.equal(other, digests[0])]
        if different:
            raise UserError(f"rank {different[0]} has another {name} than rank 0; expected the same on all ranks")

    @contextmanager
    def _collective(self) -> Iterator[None]:
        """Raises Stopped where other ranks have stopped, as this one was asked to; UserError where they are lost."""
        try:
            yield
        except RuntimeError as error:
            if STOP_REQUEST:
                raise STOP_REQUEST.stopped() from error
            raise UserError(
                f"rank {self.number} of {self.count}: another rank has ended ({_first_line(error)}); the same command "
                "goes on from what was kept"
            ) from error


ALONE = Ranks()


def join_ranks() -> Ranks:
    """Meet the others that the launcher has started, and let each take a GPU of its own where there are several.

    Raises UserError where no launcher has started this process, or they do not meet.
    """
    distributed, environment = torch.distributed, os.environ
    if distributed.is_available() and distributed.is_initialized():  # for an earlier training of this process
        return Ranks(distributed.get_rank(), distributed.get_world_size())
    launcher = next((names for names in LAUNCHERS if names[1] in environment), None)
    if launcher is None:
        raise UserError("no ranks were started; begin the command with srun or torchrun", setting="ranks")
    values = [whole_number(environment.get(name, "0")) for name in launcher]
    if None in values:
        raise UserError(f"{', '.join(launcher)}: expected whole numbers", setting="ranks")
    number, count, local = (value or 0 for value in values)
    if count == 1:
        return ALONE
    if not distributed.is_available():
        raise UserError("this build of torch knows no processes of one job", setting="ranks")
    if torch.cuda.is_available():
        torch.cuda.set_device(local % torch.cuda.device_count())
    ranks = Ranks(number, count)
    try:
        if launcher == LAUNCHERS[0]:
            distributed.init_process_group("gloo", timeout=TIMEOUT)
        else:
            _meet_on_node(ranks)
    except (RuntimeError, ValueError) as error:
        reason = f"cannot meet the others ({_first_line(error)})"
        raise UserError(f"rank {number} of {count}: {reason}", setting="ranks") from error
    atexit.register(_leave)
    return ranks


def n_started() -> int:
    """How many processes a launcher has started for one command, as its environment tells."""
    counts = (whole_number(os.environ.get(count, "")) for _, count, _ in LAUNCHERS)
    return next((count for count in counts if count), 1)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _leave() -> None:
    """Before the interpreter ends, whose threads of this library would else meet ranks that are gone."""
    with suppress(RuntimeError):
        torch.distributed.destroy_process_group()


def _meet_on_node(ranks: Ranks) -> None:
    """Through a file on the node, whose name no other step of any job has."""
    environment = os.environ
    if (nodes := environment.get("SLURM_STEP_NUM_NODES", "1")) != "1":
        raise UserError(f"expected all tasks on one node, found {nodes} nodes", setting="ranks")
    step = [environment.get(name, "0") for name in ("SLURM_JOB_ID", "SLURM_RESTART_COUNT", "SLURM_STEP_ID")]
    path = Path(tempfile.gettempdir()) / f"cosmoinfer-{os.getuid()}-{'-'.join(step)}.ranks"
    environment.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK)
    torch.distributed.init_process_group(
        "gloo", init_method=path.as_uri(), rank=ranks.number, world_size=ranks.count, timeout=TIMEOUT
    )
