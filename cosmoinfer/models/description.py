"""What a person asks of a model, in a terminal and in a notebook."""

from html import escape

from cosmoinfer.models.model import Model


def model_repr(model: Model) -> str:
    """``__repr__`` of a model: a line on what it infers, and one each on data, members and training."""
    title, lines = describe_model(model)
    return "\n".join([title, *(f"  {label}: {text}" for label, text in lines)])


def model_html(model: Model) -> str:
    """``_repr_html_`` of a model, for notebooks: the same as a table."""
    title, lines = describe_model(model)
    rows = "".join(f"<tr><th>{escape(label)}</th><td>{escape(text)}</td></tr>" for label, text in lines)
    return f"<table><caption>{escape(title)}</caption>{rows}</table>"


def describe_model(model: Model) -> tuple[str, list[tuple[str, str]]]:
    """What it infers, and labelled lines on the data that it takes, its members and its training."""
    preprocessing, (train, validation, test) = model.preprocessing, model.training_record.split.sizes
    names = ", ".join(preprocessing.classes or preprocessing.parameters.names)
    shapes = [f"{observable.name} {observable.kind} {observable.shape}" for observable in preprocessing.inputs]
    networks = [f"{stack.members} x {stack.architecture}" for stack in model.stacks]
    lines = [("data", "; ".join(shapes)), ("members", ", ".join(networks))]
    support = getattr(model, "support", None)
    if support is not None:
        lines.append(("support", support.name))
    lines.append(("simulations", f"{train} train, {validation} validation, {test} test"))
    if (temperature := getattr(model, "temperature", 1.0)) != 1:
        lines.append(("temperature", f"{temperature:.3g}"))
    titles = {
        "flow": f"p({names} | data)",
        "regressor": names,
        "classifier": names,
        "density": f"p(data | {names})" if names else "p(data)",
    }
    return f"{type(model).__name__} of {titles[model.kind]}", lines
