#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the documents of shards as JSON lines, as `blt-patch cat` does. A second reader, written from docs/format.md
alone; it needs the zstd program and nothing beyond Python's own library."""
import argparse
import base64
import json
import os
import struct
import subprocess
import sys


class Fields:
    """Takes fields from the front of some bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if count > len(self.data) - self.at:
            raise ValueError("cut off")
        self.at += count
        return self.data[self.at - count:self.at]

    def get(self, layout):
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def varint(self):
        byte = self.take(1)[0]
        return byte if byte < 0x80 else (byte & 0x7F) + (self.varint() << 7)


def require(holds, what):
    if not holds:
        raise ValueError(what)


def documents_of(block):
    fields = Fields(block)
    magic, version, flags, count, *sizes = fields.get("4sHHI7I")
    require((magic, version) == (b"BLTB", 1) and flags in (0, 1, 3), "not a block that this script knows")
    columns = [Fields(fields.take(size)) for size in sizes]
    ids, groups, text_sizes, texts, patch_counts, lengths, entropies = columns
    for _ in range(count):
        document = {"id": ids.take(ids.varint()), "group": groups.take(groups.varint()),
                    "text": texts.take(text_sizes.varint()),
                    "patch_lengths": [lengths.varint() for _ in range(patch_counts.varint())]}
        positions = len(document["text"]) + 2
        require(sum(document["patch_lengths"]) == positions, "patches do not tile their document")
        document["entropies"] = entropies.get(f"{positions}{'f' if flags & 2 else 'e'}") if flags else None
        yield document
    require(all(part.at == len(part.data) for part in columns + [fields]), "a block is longer than its documents")


def documents_in(path):
    with open(path, "rb") as file:
        data = file.read()
    require(Fields(data).get("II8sH") == (0x184D2A5D, 16, b"BLTSHARD", 1), "not a shard that this script knows")
    frames, descriptor, magic = struct.unpack("<IBI", data[-9:])
    require((descriptor, magic) == (0x80, 0x8F92EAB1), "no seek table")
    table = Fields(data[len(data) - 9 - 12 * frames - 8:])
    require(table.get("II") == (0x184D2A5E, 12 * frames + 9), "no seek table")
    at = 0
    for frame in range(frames):
        size, content, _ = table.get("III")
        if 0 < frame < frames - 1:  # the first is the header, the last the index
            zstd = subprocess.run(["zstd", "-dcq"], input=data[at:at + size], stdout=subprocess.PIPE, check=True)
            require(len(zstd.stdout) == content, "a block is not as long as the seek table says")
            yield from documents_of(zstd.stdout)
        at += size


def json_line(document, with_entropies):
    out = {key: document[key].decode(errors="replace") for key in ("id", "group") if document[key] or key == "id"}
    try:
        out["text"] = document["text"].decode()
    except UnicodeDecodeError:
        out["bytes_base64"] = base64.b64encode(document["text"]).decode()
    out["patch_lengths"] = document["patch_lengths"]
    if with_entropies and document["entropies"]:
        out["entropies"] = document["entropies"]
    return json.dumps(out, ensure_ascii=False)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("shards", nargs="+", help="folders of shards, or single shard files")
parser.add_argument("--entropies", action="store_true", help="with the stored entropies")
options = parser.parse_args()
sys.stdout.reconfigure(encoding="utf-8")
for name in options.shards:
    paths = [name]
    if os.path.isdir(name):
        with open(os.path.join(name, "manifest.json"), encoding="utf-8") as manifest:
            paths = [os.path.join(name, shard["file"]) for shard in json.load(manifest)["shards"]]
    for path in paths:
        for document in documents_in(path):
            print(json_line(document, options.entropies))
