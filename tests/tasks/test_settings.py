"""Settings of tasks: those behind a name, as in ``embedding="cnn:hidden=8"``."""

import pytest

from cosmoinfer.errors import UserError
from cosmoinfer.tasks.settings import expand_named


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embedding": "cnn:kernle=3"}, "no setting 'kernle' behind a name; there are layers"),
        ({"flow": "maf:epochs=1"}, "no setting 'epochs' behind a name"),
        ({"flow": "nsf:bins=8", "bins": 6}, "bins is given twice"),
        ({"flow": "nsf:bins=8,bins=9"}, "bins is given twice"),
        ({"flow": "nsf:"}, "'' is not understood; expected as in nsf:hidden=8"),
        ({"optimizer": "sgd:momentum"}, "'momentum' is not understood"),
    ],
)
def test_a_setting_behind_a_name_must_be_one_of_it(settings, message):
    with pytest.raises(UserError, match=message):
        expand_named(settings)


def test_settings_behind_a_name_have_their_types():
    expanded = expand_named({"embedding": "cnn:kernel=3,dropout=0.5,batch_norm=true,padding=zero", "flow": "maf"})
    assert expanded == {
        "flow": "maf",
        "embedding": "cnn",
        "embedding_kernel": 3,
        "embedding_dropout": 0.5,
        "embedding_batch_norm": True,
        "embedding_padding": "zero",
    }
