# SPDX-License-Identifier: MIT
"""The lab's fixtures, once for the session, whichever of the lab's folders are run."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lab"))

from xenlab import fixtures     # noqa: E402


def pytest_configure(config):
    if not config.pluginmanager.is_registered(fixtures):
        config.pluginmanager.register(fixtures)
