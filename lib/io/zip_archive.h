// SPDX-License-Identifier: MIT
// The members of a zip archive that are stored as they are, as torch.save writes them. Nothing is unpacked.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

namespace blt::io {

using ZipMembers = std::map<std::string, std::span<const std::byte>, std::less<>>;

// Zip64 included. Errors: input: compressed or encrypted members, members that overlap or lie outside the file, names that
// come twice or climb out of a folder.
ZipMembers read_zip(std::span<const std::byte> file);

}  // namespace blt::io
