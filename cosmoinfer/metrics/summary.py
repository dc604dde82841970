"""An evaluation in two to five plain sentences: how good, and how calibrated; and one for each thing asked beside."""

from typing import Any

from cosmoinfer.metrics.local_c2st import RECOMMENDED_SIMULATIONS
from cosmoinfer.metrics.verdict import FIXED, UNCONSTRAINED, UNCONSTRAINED_R2


def summary(document: dict[str, Any]) -> list[str]:
    """For the terminal; from the document alone, so that it can be said again of a stored file."""
    told: tuple[str, ...]
    if "confusion" in document:
        told = (_told_right(document), _gain(document), _confused(document), _promises(document))
    else:
        told = (
            _scope(document),
            _constrained(document),
            _loose(document),
            _fixed(document),
            _calibration(document),
            _coverage(document),
            _local(document),
            _against(document),
        )
    return [sentence for sentence in told if sentence]


def _judged(document: dict[str, Any]) -> str:
    rows, simulations = document["rows"], document["simulations"]
    return f"Judged on {_count(rows, 'row')} of {_count(simulations, 'simulation')}"


def _scope(document: dict[str, Any]) -> str:
    judged = _judged(document)
    gain = document["metrics"]["joint"].get("log_prob_gain")
    score = document["metrics"]["joint"].get("log_prob")
    if gain and gain["value"] is not None:
        return f"{judged}: the data bring {_measured(gain)} nats over the prior."
    if score and score["value"] is not None:
        return f"{judged}: the mean log density of the truth is {_measured(score)} nats."
    return f"{judged}: no log density at the truth ({score['reason']})." if score else f"{judged}."


def _constrained(document: dict[str, Any]) -> str:
    accuracy = document["metrics"]["parameters"]
    told = [
        f"{name} (R2 {_short(accuracy['r2'][name])}, typical error {_short(accuracy['rmse'][name], '.2g')})"
        for name, words in document["verdict"]["parameters"].items()
        if not words.startswith(UNCONSTRAINED) and accuracy.get("r2", {}).get(name, {}).get("value") is not None
    ]
    return f"Constrained: {', '.join(told)}." if told else ""


def _loose(document: dict[str, Any]) -> str:
    verdicts = document["verdict"]["parameters"]
    names = [name for name, words in verdicts.items() if words.startswith(UNCONSTRAINED)]
    return f"Not constrained by the data: {', '.join(names)} (R2 at most {UNCONSTRAINED_R2:g})." if names else ""


def _calibration(document: dict[str, Any]) -> str:
    return f"The joint posterior: {document['verdict']['joint']}."


def _coverage(document: dict[str, Any]) -> str:
    entries = document["metrics"]["parameters"].get("coverage_68", {})
    shares = [100 * entry["value"] for entry in entries.values() if entry["value"] is not None]
    if not shares:
        return ""
    low, high = f"{min(shares):.0f}", f"{max(shares):.0f}"
    return f"The 68 % intervals hold {low if low == high else f'{low} to {high}'} % of the truths."


def _fixed(document: dict[str, Any]) -> str:
    """Parameters of one true value: what there is to say of them is their bias."""
    words = document["verdict"]["parameters"]
    told = [f"{name} {verdict}" for name, verdict in words.items() if verdict.startswith(FIXED)]
    return f"One universe: {'; '.join(told)}." if told else ""


def _local(document: dict[str, Any]) -> str:
    """Of each row that was asked for, after Holm where there are several; and how much that can mean."""
    metrics = document["metrics"].get("local", {})
    entries = metrics.get("lc2st_p_holm", metrics.get("lc2st_p"))
    if not entries:
        return ""
    told = [f"row {row} {_short(entry, '.2g')}" for row, entry in entries.items()]
    corrected = ", Holm-corrected" if len(entries) > 1 else ""
    few = f"; from {document['simulations']} simulations it sees gross errors only, {RECOMMENDED_SIMULATIONS} are few"
    return (
        f"Local test (p-value of the posterior being right there{corrected}): {', '.join(told)}"
        f"{few if document['simulations'] < RECOMMENDED_SIMULATIONS else ''}."
    )


def _against(document: dict[str, Any]) -> str:
    """The other posterior is named by its kind: a file may bear any name."""
    if "against" not in document:
        return ""
    joint, accuracy = document["metrics"]["joint"], document["metrics"]["parameters"]
    told = []
    if _known(joint, "expected_kl"):
        told.append(f"{_measured(joint['expected_kl'], form='.3f')} nats short of it (expected KL)")
    elif _known(joint, "log_prob_difference"):
        entry = joint["log_prob_difference"]
        sign, more = (1.0, "more") if entry["value"] >= 0 else (-1.0, "less")
        told.append(f"the truths are {_measured(entry, sign, '.3f')} nats {more} probable")
    if _known(joint, "c2st"):
        told.append(f"C2ST {_measured(joint['c2st'], form='.3f')} (0.5 is perfect)")
    if _known(joint, "fisher_loss"):
        told.append(f"log volume {_measured(joint['fisher_loss'])} nats above that of the data's Fisher information")
    if _all_known(accuracy, "mean_shift_rms"):
        told.append(f"means differ by {_range(accuracy['mean_shift_rms'])} of its widths (rms)")
    if _all_known(accuracy, "width_ratio"):
        told.append(f"widths are {_range(accuracy['width_ratio'])} of its")
    return f"Against the {document['against']}: {'; '.join(told) or 'nothing that both hold can be compared'}."


def _known(metrics: dict[str, Any], name: str) -> bool:
    return metrics.get(name, {}).get("value") is not None


def _all_known(metrics: dict[str, Any], name: str) -> bool:
    return name in metrics and all(entry["value"] is not None for entry in metrics[name].values())


def _range(entries: dict[str, Any]) -> str:
    """From the least to the largest over the parameters."""
    low, high = (f"{one(entry['value'] for entry in entries.values()):.2f}" for one in (min, max))
    return low if low == high else f"{low} to {high}"


def _told_right(document: dict[str, Any]) -> str:
    classes, counts = document["confusion"]["classes"], document["confusion"]["counts"]
    rows = [sum(taken) for taken in counts]
    commonest = rows.index(max(rows))
    right = _measured(document["metrics"]["joint"]["accuracy"], 100, ".1f")
    always = f"always guessing {classes[commonest]} would be right for {100 * rows[commonest] / sum(rows):.1f} %"
    return f"{_judged(document)}: {_target(document)} is told right for {right} % of the rows; {always}."


def _gain(document: dict[str, Any]) -> str:
    gain = document["metrics"]["joint"]["log_score_gain"]
    if gain["value"] is None:
        return f"The data's gain over the frequencies of the classes has no value ({gain['reason']})."
    return f"The data bring {_measured(gain)} nats over the frequencies of the classes."


def _confused(document: dict[str, Any]) -> str:
    """The pair of which the largest share is mistaken."""
    classes, counts = document["confusion"]["classes"], document["confusion"]["counts"]
    wrong = [
        (taken[guess] / sum(taken), taken[guess], true, guess)
        for true, taken in enumerate(counts)
        for guess in range(len(classes))
        if guess != true and taken[guess]
    ]
    if not wrong:
        return "No row is taken for another class."
    share, count, true, guess = max(wrong)
    rows = f"{count} of {_count(sum(counts[true]), 'row')} of {classes[true]} ({100 * share:.1f} %)"
    return f"Mistaken most often: {rows} taken for {classes[guess]}."


def _promises(document: dict[str, Any]) -> str:
    words, error = document["verdict"]["joint"], document["metrics"]["joint"]["ece"]
    return f"The probabilities: {words} (expected calibration error {_short(error, '.3f')})."


def _target(document: dict[str, Any]) -> str:
    return str(next(iter(document["verdict"]["parameters"])))


def _measured(entry: dict[str, Any], unit: float = 1.0, form: str = ".2f") -> str:
    if entry["low"] is None:
        return f"{unit * entry['value']:.3g}"
    return f"{unit * entry['value']:{form}} +- {abs(unit) * (entry['high'] - entry['low']) / 2:{form}}"


def _short(entry: dict[str, Any], form: str = ".2f") -> str:
    return "unknown" if entry["value"] is None else format(entry["value"], form)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + "s" * (number != 1)
