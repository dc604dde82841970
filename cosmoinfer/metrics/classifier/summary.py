"""The evaluation of a classifier in four sentences: accuracy, information, confusion, calibration."""

from cosmoinfer.formatting import count_text
from cosmoinfer.metrics.classifier.predictions import Confusion
from cosmoinfer.metrics.estimate import Estimate, Estimates
from cosmoinfer.metrics.summary import sample_size
from cosmoinfer.metrics.verdict import Verdict


def classifier_summary(
    rows: int, simulations: int, joint: Estimates, verdict: Verdict, confusion: Confusion
) -> list[str]:
    """For a classifier of one target, the only name in ``verdict.parameters``."""
    (target,) = verdict.parameters
    return [
        f"{sample_size(rows, simulations)}: {target}: {_accuracy(joint['accuracy'], confusion)}.",
        _information(joint["log_score_gain"]),
        _confusion(confusion),
        _class_calibration(verdict, joint["ece"]),
    ]


def _accuracy(accuracy: Estimate, confusion: Confusion) -> str:
    rows = [sum(row) for row in confusion.counts]
    majority = rows.index(max(rows))
    baseline = f"always predicting {confusion.classes[majority]}: {100 * rows[majority] / sum(rows):.1f} %"
    return f"accuracy {accuracy.format('.1f', unit=100)} % ({baseline})"


def _information(gain: Estimate) -> str:
    if gain.value is None:
        return f"The information gain over the class frequencies has no value ({gain.reason})."
    return f"Information gain over the class frequencies {gain.format()} nats."


def _confusion(confusion: Confusion) -> str:
    """The pair of classes with the largest fraction of misclassified rows."""
    mistakes = [
        (row[predicted] / sum(row), row[predicted], true, predicted)
        for true, row in enumerate(confusion.counts)
        for predicted in range(len(confusion.classes))
        if predicted != true and row[predicted]
    ]
    if not mistakes:
        return "No row is misclassified."
    fraction, number, true, predicted = max(mistakes)
    rows = f"{number} of {count_text(sum(confusion.counts[true]), 'row')} of {confusion.classes[true]}"
    return f"Most frequent mistake: {rows} ({100 * fraction:.1f} %) are predicted as {confusion.classes[predicted]}."


def _class_calibration(verdict: Verdict, ece: Estimate) -> str:
    return f"Class probabilities: {verdict.joint} (expected calibration error {ece.format_value('.3f')})."
