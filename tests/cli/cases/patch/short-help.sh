# SPDX-License-Identifier: MIT
# -h fits a screen.
blt-patch -h
