# SPDX-License-Identifier: MIT
blt-stats --version
