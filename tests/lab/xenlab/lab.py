# SPDX-License-Identifier: MIT
class Lab: pass
class MigrateResult: pass
