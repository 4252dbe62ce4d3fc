// SPDX-License-Identifier: MIT
// Documents -> shuffled pieces -> packed batches, the same sequence for the same seed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "blt/base/random.h"
#include "blt/base/reporter.h"
#include "blt/config/train_config.h"
#include "blt/model/batch.h"

namespace blt::train {

// A document as ids (BOS ... EOS), with patch lengths for a BLT.
struct TokenDocument {
  std::string id;
  std::vector<patch::TokenId> ids;
  std::vector<std::uint32_t> patch_lengths;
};

// One pass over the documents of a run, in order.
class DocumentStream {
 public:
  virtual ~DocumentStream() = default;
  virtual bool next(TokenDocument& document) = 0;
};
// Opens a new pass. held_out picks that half; all_bytes counts text bytes of both halves as they pass.
using OpenStream = std::function<std::unique_ptr<DocumentStream>(bool held_out)>;
// Files. Records left out by on_error=skip are told once.
OpenStream corpus_stream(const TrainConfig& config, Reporter& reporter);
OpenStream shard_stream(const TrainConfig& config);   // shards

// A piece of a document that owns its ids. Pieces of a BLT end at patch borders and begin with a one-byte patch.
struct Piece {
  std::vector<patch::TokenId> ids;
  std::vector<std::uint32_t> patch_lengths;
  std::int32_t next_id = -1;
  model::Segment segment() const { return {ids, patch_lengths, next_id, 0}; }
};
// Cuts at `length` positions (at the last patch border before it). Every id but the document's first is a target of
// exactly one piece.
std::vector<Piece> cut_pieces(const TokenDocument& document, std::int64_t length);

// Endless batches of about batch_bytes, drawn at random from a buffer. A resume replays the first batches unread.
class Loader {
 public:
  // Fills the buffer. Errors: input, when a document cannot be read or the training half is empty.
  Loader(OpenStream open, const TrainConfig& config, std::int64_t sequence_length);
  ~Loader();
  std::vector<Piece> next();

 private:
  void fill();
  OpenStream open_;
  std::unique_ptr<DocumentStream> stream_;
  Random random_;
  std::int64_t length_, batch_bytes_, buffer_bytes_, buffered_ = 0;
  std::uint64_t pass_pieces_ = 0;
  std::vector<Piece> buffer_;
};

}  // namespace blt::train
