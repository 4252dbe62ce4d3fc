# SPDX-License-Identifier: MIT
blt-train --version
