# SPDX-License-Identifier: MIT
"""The build, and the captured streams."""

import pytest

from streambuilder import BUILD, STREAMS, captured_image


@pytest.fixture(scope="session")
def build():
    return BUILD


@pytest.fixture(scope="session")
def captured(tmp_path_factory):
    """{name: path} of the streams that stock Xen wrote, unpacked."""
    directory = tmp_path_factory.mktemp("streams")
    found = {}
    for packed in sorted(STREAMS.glob("*.save.xz")):
        path = directory / packed.name[:-3]
        path.write_bytes(captured_image(packed.name[:-len(".save.xz")]))
        found[packed.name[:-len(".save.xz")]] = path
    return found
