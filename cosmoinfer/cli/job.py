"""Options of commands that train which a batch job needs: when to stop, and with which other processes to train."""

from typing import Annotated

from cosmoinfer.cli.options import option
from cosmoinfer.errors import blame
from cosmoinfer.stopping import STOP_REQUEST, parse_duration

MaxTime = Annotated[
    str | None,
    option("Stop after so long, as at SIGTERM: 23h50m. The same command goes on.", "Run", value="<time>", rare=True),
]
Ranks = Annotated[
    bool,
    option("Share every batch with the processes that srun or torchrun has started.", "Run", "--ranks", rare=True),
]


def stop_after(max_time: str | None) -> None:
    """Let a request to stop come so long from now. Raises UserError if that is no time."""
    if max_time is not None:
        with blame("max_time", max_time):
            STOP_REQUEST.after(parse_duration(max_time))
