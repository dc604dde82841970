"""Do errors name the setting, in Python by its name and on the command line as an option?"""

import copy

import pytest

from cosmoinfer.cli.terminal import error_lines, with_options
from cosmoinfer.errors import GateFailed, UserError, list_choices


def test_an_error_is_a_value_error_that_names_its_setting() -> None:
    error = UserError("expected a positive number, found -1", setting="learning_rate")
    assert isinstance(error, ValueError)
    assert error.setting == "learning_rate"
    assert str(error) == "learning_rate: expected a positive number, found -1"
    assert error_lines(error) == ["--learning-rate: expected a positive number, found -1"]


def test_the_value_of_a_setting_is_shown_where_it_helps() -> None:
    error = UserError("is for vectors", setting="compress", value="pca:20")
    assert str(error) == "compress=pca:20: is for vectors"
    assert error_lines(error) == ["--compress pca:20: is for vectors"]


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("`split_file` with test simulations", "--split-file with test simulations"),
        ("was read with `missing=mask`", "was read with --missing mask"),
        ("`infer`, `scale_cut` go with a training", "--infer, --scale-cut go with a training"),
        ("no setting here: `Omega_m` $x$, ``", "no setting here: `Omega_m` $x$, ``"),
        ("it has `embedding_hidden`", "it has --embedding ...:hidden"),
        ("use `embedding_padding=none`", "use --embedding ...:padding=none"),
        ("a number of them", "a number of them"),
    ],
)
def test_settings_in_a_message_are_options_on_the_command_line(message: str, line: str) -> None:
    assert with_options(message) == line


@pytest.mark.parametrize("error", [UserError("what", "set", "a=1"), GateFailed("r2 0.1 < 0.5"), UserError("plain")])
def test_an_error_comes_back_from_another_process_as_it_was(error: UserError) -> None:
    back = copy.copy(error)  # as multiprocessing rebuilds it
    assert type(back) is type(error) and str(back) == str(error) and back.setting == error.setting


@pytest.mark.parametrize(
    ("name", "choices", "text"),
    [
        ("nfs", ["maf", "nsf"], "there are maf, nsf; did you mean nsf?"),
        ("omega_M", ["Omega_m", "sigma_8"], "there are Omega_m, sigma_8; did you mean Omega_m?"),
        ("glow", ["maf", "nsf"], "there are maf, nsf"),
        ("fill", ["mask"], "there is mask"),
        ("colour", [f"option_{number}" for number in range(50)], "there are option_0, option_1"),
        ("learningrate", ["learning_rate", *map(str, range(50))], "did you mean learning_rate?"),
    ],
)
def test_an_unknown_name_is_told_which_are_spelled_alike(name: str, choices: list[str], text: str) -> None:
    listing = list_choices(name, choices)
    assert listing.startswith(text) and len(listing) < 300
