# SPDX-License-Identifier: MIT
class Fault: pass
