# SPDX-License-Identifier: MIT
"""The table of broken streams: every row is a stream with one thing in it that is wrong, and what every reader says of it."""
