# SPDX-License-Identifier: MIT
blt-train -h
