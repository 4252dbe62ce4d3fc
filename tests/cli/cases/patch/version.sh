# SPDX-License-Identifier: MIT
blt-patch --version
blt-patch -V
