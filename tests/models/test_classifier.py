"""Classifiers: blobs whose log-odds are known, probabilities calibrated on the validation rows, files, refusals."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy import special, stats

from cosmoinfer import models, posterior
from cosmoinfer.catalog import Catalog, Observable, ReadOptions
from cosmoinfer.errors import UserError
from cosmoinfer.losses import CLASSIFICATION_LOSSES, fit_temperature, probabilities
from cosmoinfer.models import ClassifierModel
from cosmoinfer.models.regressor import fit_classifier, regressor_recipe
from cosmoinfer.parameters import Parameters
from cosmoinfer.preprocessing.fit import fit_preprocessing
from cosmoinfer.split import by_hash
from tests.examples import fitted_preprocessing, in_memory_catalog, sampled, split_of, training_context

CENTRES = np.array([[0.7, 0.0, 0.3], [-0.5, 0.4, 0.0], [0.1, -0.9, 0.2]])
SUITES = ("TNG", "SIMBA", "Astrid")
ROWS = 1500
SETTINGS = {"network": "linear", "ensemble": 2, "epochs": 25, "learning_rate": 0.02}
every_loss = pytest.mark.parametrize("loss", CLASSIFICATION_LOSSES)


@lru_cache
def blobs(classes: int, rows: int = ROWS, seed: int = 0) -> Catalog:
    """x ~ N(centre of the class, 1), classes of unequal size."""
    random = np.random.default_rng(seed)
    labels = random.choice(classes, rows, p=SHARES[classes])
    x = CENTRES[labels] + random.standard_normal((rows, 3))
    sims = in_memory_catalog(
        labels[:, None].astype(float), Parameters.from_names(("suite",)), Observable("data", "vector", x)
    )
    return replace(sims, classes=SUITES[:classes], declared_priors=frozenset())


SHARES = {2: [0.4, 0.6], 3: [0.5, 0.3, 0.2]}


def exact(x: np.ndarray, classes: int) -> np.ndarray:
    """The probability of each class, (n, C)."""
    distances = ((x[:, None] - CENTRES[:classes]) ** 2).sum(axis=-1)
    return special.softmax(np.log(SHARES[classes]) - distances / 2, axis=1)


@lru_cache
def classifier(loss: str, classes: int = 2, seed: int = 0) -> ClassifierModel:
    sims = blobs(classes)
    recipe = regressor_recipe(SETTINGS | {"loss": loss}, ROWS, [(3,)], classes)
    return fit_classifier(sims, split_of(sims), fitted_preprocessing(sims), recipe, training_context(seed))


@every_loss
@pytest.mark.parametrize("classes", [2, 3])
def test_the_probabilities_are_near_the_exact_ones(loss, classes):
    """Losses that are proper scores of a linear logit, nearly; the others by their calibration alone, more loosely."""
    if (loss, classes) == ("logistic", 3):
        with pytest.raises(UserError, match="loss=logistic: expected two classes, found 3"):
            classifier(loss, classes)
        return
    model, judged = classifier(loss, classes), blobs(classes, 400, seed=1)
    class_probabilities = sampled(model, judged, np.arange(400)).classes.probabilities
    right = exact(judged.observables[0].values, classes)
    np.testing.assert_allclose(class_probabilities.sum(axis=1), 1, atol=1e-6)
    away = np.abs(class_probabilities - right).mean()
    assert away < (0.025 if loss in ("cross-entropy", "logistic") else 0.09)
    assert (class_probabilities.argmax(axis=1) == right.argmax(axis=1)).mean() > 0.9
    for label in range(classes):  # with_temperature: what comes true is what was said
        predicted, came = class_probabilities[:, label], judged.theta[:, 0] == label
        assert abs(came.mean() - predicted.mean()) < 5 * np.sqrt((predicted * (1 - predicted)).sum()) / 400 + 0.03


@every_loss
def test_the_temperature_is_that_of_the_validation_rows(loss):
    model, sims = classifier(loss), blobs(2)
    rows = model.training_record.split.select_rows(sims.simulation, "validation")
    logits, labels = model.logits(sims, rows), sims.theta[rows, 0]
    assert model.temperature == pytest.approx(fit_temperature(logits, labels), rel=1e-6)
    nll = [
        -np.log(probabilities(logits, model.temperature * by)[np.arange(len(rows)), labels.astype(int)]).mean()
        for by in (0.7, 1, 1.4)
    ]
    assert nll[1] < min(nll[0], nll[2])
    sharp = replace(model, temperature=17.0).with_temperature(sims, rows)
    assert sharp.temperature == pytest.approx(model.temperature)


def test_logits_are_the_mean_of_the_members_and_a_row_does_not_feel_the_others():
    model, sims = classifier("cross-entropy"), blobs(2)
    logits = model.logits(sims, np.arange(20))
    np.testing.assert_array_equal(model.logits(sims, np.array([7])), logits[[7]])
    (stack,) = model.stacks
    weight, bias = (
        stack.network.state_dict()[f"embedding.networks.0.1.{name}"].double().numpy() for name in ("weight", "bias")
    )
    (x,) = model.preprocessing.data(sims, np.arange(20))
    np.testing.assert_allclose(logits, (x @ weight + bias).mean(axis=0), atol=1e-5)


def test_the_same_seed_gives_the_same_bytes_and_a_file_the_same_probabilities(tmp_path):
    sims = blobs(3)
    recipe = regressor_recipe(SETTINGS | {"network": "mlp", "epochs": 2, "hidden": 9}, ROWS, [(3,)], 3)
    for name, seed in (("one", 0), ("two", 0), ("other", 1)):
        models.write(
            tmp_path / name,
            fit_classifier(sims, split_of(sims), fitted_preprocessing(sims), recipe, training_context(seed)),
            {},
        )
    first, second, third = ((tmp_path / name).read_bytes() for name in ("one", "two", "other"))
    assert first == second != third
    model, again = (
        fit_classifier(sims, split_of(sims), fitted_preprocessing(sims), recipe, training_context()),
        models.read(tmp_path / "one"),
    )
    assert (again.kind, again.preprocessing.classes, again.loss) == ("classifier", SUITES, "cross-entropy")
    predicted, predicted_again = (sampled(trained, sims, np.arange(10)) for trained in (model, again))
    np.testing.assert_array_equal(predicted.classes.probabilities, predicted_again.classes.probabilities)
    posterior.write(tmp_path / "posterior.h5", predicted_again, {})
    read = posterior.read(tmp_path / "posterior.h5")
    np.testing.assert_array_equal(read.classes.probabilities, predicted.classes.probabilities)
    assert read.classes.names == SUITES and read.draws is None
    np.testing.assert_array_equal(read.truth[:, 0], sims.theta[:10, 0])


def test_an_observation_has_no_class_and_gets_one():
    model = classifier("cross-entropy")
    observed = in_memory_catalog(None, None, Observable("data", "vector", np.array([[3.0, 0, 0], [-3.0, 0, 0]])))
    model.preprocessing.check_catalog(observed)
    predicted = sampled(model, observed, model.training_record.select_rows(observed, None))
    assert predicted.truth is None
    assert predicted.classes.probabilities.argmax(axis=1).tolist() == [0, 1]
    assert (predicted.classes.probabilities.max(axis=1) > 0.9).all()


@pytest.mark.filterwarnings("ignore:.*trained on or chosen by")
def test_arrays_get_the_classes_that_their_catalog_gets():
    sims, model = blobs(2), classifier("cross-entropy")
    predicted = model.sample(sims.observables[0].array[:5])
    expected = sampled(model, sims, range(5))
    np.testing.assert_array_equal(predicted.classes.probabilities, expected.classes.probabilities)
    assert not predicted.has_truth.any()
    with pytest.raises(UserError, match="draw: sample has no such setting"):
        model.sample(sims.observables[0].array[:5], draw=3)


def test_classes_of_other_names_are_refused():
    """The same numbers in another order would be judged as errors."""
    frame, sims = classifier("cross-entropy").preprocessing, blobs(2)
    frame.check_catalog(sims)
    for names in (("SIMBA", "TNG"), SUITES):
        with pytest.raises(UserError, match=r"the model has the classes TNG, SIMBA; this catalog has the classes"):
            frame.check_catalog(replace(sims, classes=names))


def test_without_classes_there_is_nothing_to_learn():
    observed = in_memory_catalog(None, None, blobs(2).observables[0], name="observed.h5")
    with pytest.raises(UserError, match=r"observed.h5: has no /classes/suite"):
        fit_preprocessing(observed, by_hash(observed.simulation), ReadOptions(target="suite"), "auto")


def test_training_rows_of_one_class_are_refused():
    sims = blobs(2)
    train = by_hash(sims.simulation).select_rows(sims.simulation, "train")
    labels = sims.theta.copy()
    labels[train] = 1
    with pytest.raises(UserError, match="the training rows are all of one class; a classifier needs two"):
        fitted_preprocessing(replace(sims, theta=labels))


def test_a_classifier_without_information_predicts_the_class_frequencies():
    """x that knows no class: probabilities near the prior's, and no certainty."""
    sims = blobs(2)
    blind = replace(
        sims, observables=(Observable("data", "vector", np.random.default_rng(5).standard_normal((ROWS, 3))),)
    )
    recipe = regressor_recipe(SETTINGS | {"epochs": 5}, ROWS, [(3,)], 2)
    model = fit_classifier(blind, split_of(blind), fitted_preprocessing(blind), recipe, training_context())
    class_probabilities = sampled(model, blind, np.arange(100)).classes.probabilities
    assert np.abs(class_probabilities[:, 0] - SHARES[2][0]).max() < 0.2
    assert stats.entropy(class_probabilities.mean(axis=0)) > 0.6
