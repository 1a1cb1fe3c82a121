"""Specs of the stories, written as TOML."""

import json


def spec(program, params, *, steps=None, gpus=0):
    """A spec that trains with a Python program."""
    lines = ["[train]", f'command = ["{{python}}", "{program}"]']
    lines += [f"steps = {steps}"] if steps else []
    lines += ["[resources]", f"gpus = {gpus}", "[params]"]
    return "\n".join([*lines, *(f"{name} = {_value(value)}" for name, value in params.items())])


def _value(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_value(each)}" for name, each in value.items()) + " }"
    return json.dumps(value)
