"""Evaluations: of the rows whose true parameters are known."""

import numpy as np
import pytest

import cosmoinfer
from cosmoinfer.errors import UserError
from tests.examples import flow_of, regressor_of
from tests.tasks.test_sample import Words, with_placeholders


@pytest.mark.parametrize("model", [lambda: flow_of("maf", 2, 2, "probit"), lambda: regressor_of(2)])
def test_rows_without_known_parameters_are_left_out(model):
    model, missing = model(), [0, 5, 20]
    sims = with_placeholders(missing, 60)
    labelled = np.flatnonzero(sims.has_theta)
    expected = cosmoinfer.evaluate(model, with_placeholders([], 60), draws=50, rows=labelled)
    for source in ((model, sims), (cosmoinfer.sample(model, sims, draws=50),)):
        words = Words()
        settings = {"draws": 50} if len(source) == 2 else {}
        evaluation = cosmoinfer.evaluate(*source, reporter=words.reporter, **settings)
        assert "left out 3 rows whose true parameters are not known (NaN in /parameters)" in words.reported
        assert evaluation.rows == 57
        without_set_test = {key: value for key, value in evaluation.joint.items() if not key.startswith("ood")}
        assert without_set_test == {key: expected.joint[key] for key in without_set_test}
        assert evaluation.parameters == expected.parameters


def test_an_evaluation_without_any_truth_says_that_parameters_are_missing():
    model = flow_of("maf", 2, 2, "probit")
    for rows in (None, [0, 5]):
        sims = with_placeholders(range(60) if rows is None else rows, 60)
        with pytest.raises(UserError, match=r"no true parameters to compare with \(/parameters are missing, or NaN\)"):
            cosmoinfer.evaluate(model, sims, draws=5, rows=rows)
    posterior = cosmoinfer.sample(model, with_placeholders([0, 5], 60), draws=5, rows=[0, 5])
    with pytest.raises(UserError, match=r"no true parameters to compare with"):
        cosmoinfer.evaluate(posterior)
