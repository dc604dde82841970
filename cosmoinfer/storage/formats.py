"""Of which kinds and format the files of this tool are, and what is no longer read, or not yet."""

from cosmoinfer import __version__
from cosmoinfer.errors import UserError

FORMAT = 2  # of all kinds
CREATOR = "creator"  # attribute of the root, which tells of a file that HDF5 no longer opens of which kind it was
SIGNATURE = "cosmoinfer {kind} file"  # its value
REMAKE_COMMANDS = {
    "split": "split the catalog",
    "model": "train",
    "checkpoint": "train",
    "posterior": "sample",
    "metrics": "evaluate",
    "scores": "score",
    "likelihood": "bind the observation",
    "catalog": "simulate or repack",
    "cross-suite": "compare the suites",
    "learning-curve": "make the curve",
}  # kind: what makes a new one
FORMATS = dict.fromkeys(REMAKE_COMMANDS, FORMAT)  # kind: the format that is written and read
CHECKPOINT_SUFFIX = ".checkpoint"  # of the folder of trainings on their way, after the name of the output


def check_format(path: str, kind: str, number: int) -> None:
    """kind: a key of FORMATS. Raises UserError where this version does not read a file of this format."""
    newest = FORMATS[kind]
    if number > newest:
        raise UserError(f"{path}: its format is {number}, this version ({__version__}) reads format {newest}")
    if number < newest:
        raise UserError(
            f"{path}: its format {number} is no longer read (this version reads {newest}); "
            f"{REMAKE_COMMANDS[kind]} again"
        )
