# SPDX-License-Identifier: MIT
"""Reading Xen's migration streams, hostile ones too: see verify-stream(1) and docs/specs/libxc-migration-stream.

One file a layer (xl, libxl, libxc, hvm), one for each kind of content (policy, check, xstate), and around them where the
bytes come from (source), what is found (report) and how it is said (output).  Only the standard library.
"""
