# SPDX-License-Identifier: MIT
"""What ends the program with one line and status 2."""


class Unusable(Exception):
    """Something that the program needs is not there, or not what it should be."""
