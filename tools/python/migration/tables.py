# SPDX-License-Identifier: MIT
"""Tables that the build's generators write as JSON: features.def and records.def."""

import json
import os
import sys

from .errors import Unusable

HERE = os.path.dirname(os.path.realpath(__file__))


class TableMissing(Unusable):
    """The JSON is nowhere, and nothing is there to make it from."""


def _newer(path, than):
    return os.path.isfile(path) and (not os.path.isfile(than) or os.stat(path).st_mtime >= os.stat(than).st_mtime)


def load(name, folder, named=None):
    """The table `name`: of the file `named`, of the installation, of a build directory, or made from `folder`/`name`.def now."""
    root = os.path.realpath(os.path.join(HERE, "..", "..", ".."))
    source = os.path.join(root, folder, f"{name}.def")
    if named:
        candidates = [named] if os.path.isfile(named) else []
    else:
        builds = sorted(entry for entry in os.listdir(root) if entry.startswith("build")) if os.path.isfile(source) else []
        candidates = [os.path.join(HERE, f"{name}.json"), *(os.path.join(root, b, folder, f"{name}.json") for b in builds)]
        candidates = [path for path in candidates if _newer(path, source)]
    if candidates:
        with open(candidates[0], encoding="ascii") as file:
            return json.load(file)
    if named or not os.path.isfile(source):
        raise TableMissing(f"the table of {name} is missing: {named or os.path.join(HERE, f'{name}.json')}")
    return _generate(os.path.join(root, folder), name)


def _generate(directory, name):
    import importlib.util
    import io
    spec = importlib.util.spec_from_file_location(f"gen_{name}", os.path.join(directory, f"gen-{name}.py"))
    generator = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(generator)
    finally:
        sys.dont_write_bytecode = before
    out = io.StringIO()
    generator.write_json(generator.Table(os.path.join(directory, f"{name}.def")), out)
    return json.loads(out.getvalue())
