# SPDX-License-Identifier: MIT
"""Both verifiers of saved domains: ours, and Debian's verify-stream-v2 from the lab's packages."""

import os
import subprocess
import sys
import tempfile

from broken.readers import find_stock_verifier
from xenlab.tools import ROOT


def verify(image):
    return subprocess.run([sys.executable, ROOT / "tools/python/verify-stream", "-"], input=image, capture_output=True)


def verify_by_stock(image):
    utils = find_stock_verifier()
    env = dict(os.environ, PYTHONPATH=str(utils / "lib/python"))
    with tempfile.NamedTemporaryFile() as file:     # from a pipe it takes a short read for the end
        file.write(image)
        file.flush()
        return subprocess.run([sys.executable, utils / "bin/verify-stream-v2", "-f", "xl", "-i", file.name], env=env,
                              capture_output=True)


def assert_valid(image):
    """What xl wrote into a file, or sent."""
    for check in (verify, verify_by_stock):
        r = check(image)
        assert r.returncode == 0, r.stdout.decode() + r.stderr.decode()
