# SPDX-License-Identifier: MIT
blt-generate -h
