# SPDX-License-Identifier: MIT
blt-stats -h
