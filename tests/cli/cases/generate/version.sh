# SPDX-License-Identifier: MIT
blt-generate --version
