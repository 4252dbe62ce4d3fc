// SPDX-License-Identifier: MIT
#include "zip_archive.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "blt/base/error.h"
#include "little_endian.h"

namespace blt::io {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::uint32_t local_mark = 0x04034b50, central_mark = 0x02014b50, end_mark = 0x06054b50;
constexpr std::uint32_t end64_mark = 0x06064b50, locator64_mark = 0x07064b50;
constexpr std::size_t local_size = 30, central_size = 46, end_size = 22, locator64_size = 20;
constexpr std::uint32_t in_zip64 = 0xffffffff;

template <class T>
T get(Bytes file, std::uint64_t at) {
  if (at > file.size() || file.size() - at < sizeof(T)) throw input_error("zip: cut off");
  return read_little_endian<T>(file, static_cast<std::size_t>(at));
}

bool has_mark(Bytes file, std::uint64_t at, std::uint32_t mark) {
  return at <= file.size() && file.size() - at >= 4 && get<std::uint32_t>(file, at) == mark;
}

struct Directory {
  std::uint64_t begin = 0, end = 0, entries = 0;
};

// The end record is the last thing in the file, but for a comment of at most 64 KiB.
std::uint64_t find_end(Bytes file) {
  if (file.size() < end_size) throw input_error("zip: too short");
  const std::uint64_t last = file.size() - end_size;
  const std::uint64_t lowest = last > 0xffff ? last - 0xffff : 0;
  for (std::uint64_t at = last + 1; at-- > lowest;) {
    if (has_mark(file, at, end_mark) && at + end_size + get<std::uint16_t>(file, at + 20) == file.size()) return at;
  }
  throw input_error("zip: no end record (the file is cut off, or no zip archive)");
}

Directory find_directory(Bytes file) {
  const std::uint64_t at = find_end(file);
  Directory d;
  d.entries = get<std::uint16_t>(file, at + 10);
  std::uint64_t size = get<std::uint32_t>(file, at + 12), limit = at;
  d.begin = get<std::uint32_t>(file, at + 16);
  if (at >= locator64_size && has_mark(file, at - locator64_size, locator64_mark)) {
    const auto end64 = get<std::uint64_t>(file, at - locator64_size + 8);
    if (end64 > at || !has_mark(file, end64, end64_mark)) throw input_error("zip: a wrong zip64 end record");
    d.entries = get<std::uint64_t>(file, end64 + 32);
    size = get<std::uint64_t>(file, end64 + 40);
    d.begin = get<std::uint64_t>(file, end64 + 48);
    limit = end64;
  }
  if (d.begin > limit || size > limit - d.begin || d.entries > size / central_size) {
    throw input_error("zip: the directory does not lie in the file");
  }
  d.end = d.begin + size;
  return d;
}

struct Member {
  std::string name;
  std::uint64_t header = 0, size = 0, stored_size = 0;
  std::uint16_t flags = 0, method = 0;
  std::uint64_t begin = 0;  // of the data
};

// Values that do not fit in 32 bits stand in an extra field, in this order.
void read_zip64(Bytes extra, Member& m) {
  std::uint64_t at = 0;
  while (extra.size() - at >= 4) {
    const auto id = get<std::uint16_t>(extra, at), size = get<std::uint16_t>(extra, at + 2);
    at += 4;
    if (size > extra.size() - at) throw input_error("zip: a broken extra field");
    if (id == 1) {
      const Bytes field = extra.subspan(static_cast<std::size_t>(at), size);
      std::uint64_t next = 0;
      for (std::uint64_t* value : {&m.size, &m.stored_size, &m.header}) {
        if (*value != in_zip64) continue;
        *value = get<std::uint64_t>(field, next);
        next += 8;
      }
      return;
    }
    at += size;
  }
}

void check_name(std::string_view name) {
  bool bad = name.empty() || name.front() == '/' || name.find('\\') != name.npos || name.find('\0') != name.npos;
  for (std::size_t at = 0; at <= name.size() && !bad;) {
    const std::size_t end = std::min(name.find('/', at), name.size());
    bad = name.substr(at, end - at) == "..";
    at = end + 1;
  }
  if (bad) throw input_error("zip: a member's name leads out of the archive");
}

Member read_member(Bytes file, const Directory& directory, std::uint64_t& at) {
  if (directory.end - at < central_size || !has_mark(file, at, central_mark)) throw input_error("zip: a broken directory");
  Member m;
  m.flags = get<std::uint16_t>(file, at + 8);
  m.method = get<std::uint16_t>(file, at + 10);
  m.stored_size = get<std::uint32_t>(file, at + 20);
  m.size = get<std::uint32_t>(file, at + 24);
  m.header = get<std::uint32_t>(file, at + 42);
  const std::uint64_t name = get<std::uint16_t>(file, at + 28), extra = get<std::uint16_t>(file, at + 30),
                      comment = get<std::uint16_t>(file, at + 32);
  at += central_size;
  if (name + extra + comment > directory.end - at) throw input_error("zip: a broken directory");
  m.name.assign(reinterpret_cast<const char*>(file.data() + at), static_cast<std::size_t>(name));
  read_zip64(file.subspan(static_cast<std::size_t>(at + name), static_cast<std::size_t>(extra)), m);
  at += name + extra + comment;
  check_name(m.name);
  return m;
}

// The local header tells where the data begins.
void locate(Bytes file, const Directory& directory, Member& m) {
  if (m.flags & 1) throw input_error("is encrypted");
  if (m.method != 0 || m.size != m.stored_size) {
    throw input_error("is compressed: torch.save stores its members as they are");
  }
  if (!has_mark(file, m.header, local_mark)) throw input_error("has no header where the directory says");
  const std::uint64_t name = get<std::uint16_t>(file, m.header + 26);
  m.begin = m.header + local_size + name + get<std::uint16_t>(file, m.header + 28);
  if (m.begin > directory.begin || m.size > directory.begin - m.begin) throw input_error("does not lie in the file");
  if (m.header + local_size + name > directory.begin ||
      std::string_view(reinterpret_cast<const char*>(file.data() + m.header + local_size), static_cast<std::size_t>(name)) != m.name) {
    throw input_error("has another name in its own header");
  }
}

}  // namespace

ZipMembers read_zip(Bytes file) {
  const Directory directory = find_directory(file);
  std::vector<Member> members;
  for (std::uint64_t at = directory.begin, i = 0; i < directory.entries; ++i) {
    members.push_back(read_member(file, directory, at));
    Member& m = members.back();
    with_context(cat("zip member \"", m.name, "\""), [&] { locate(file, directory, m); });
  }
  std::sort(members.begin(), members.end(), [](const Member& a, const Member& b) { return a.header < b.header; });
  ZipMembers out;
  std::uint64_t end = 0;
  for (const Member& m : members) {
    if (m.header < end) throw input_error(cat("zip member \"", m.name, "\" overlaps the one before it"));
    end = m.begin + m.size;
    const auto data = file.subspan(static_cast<std::size_t>(m.begin), static_cast<std::size_t>(m.size));
    if (!out.emplace(m.name, data).second) throw input_error(cat("zip member \"", m.name, "\" comes twice"));
  }
  return out;
}

}  // namespace blt::io
