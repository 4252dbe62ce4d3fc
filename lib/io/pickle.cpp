// SPDX-License-Identifier: MIT
#include "pickle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <string_view>
#include <unordered_map>

#include "blt/base/error.h"
#include "little_endian.h"

namespace blt::io {
namespace {

using Kind = PickleValue::Kind;

constexpr std::string_view ordered_dict = "collections OrderedDict", rebuild_tensor = "torch._utils _rebuild_tensor_v2",
                           rebuild_parameter = "torch._utils _rebuild_parameter";

constexpr std::size_t most_values = 4'000'000;

struct StorageName {
  std::string_view name;
  DType dtype;
};
constexpr std::array<StorageName, 10> storage_names{{{"torch FloatStorage", DType::f32},
                                                     {"torch DoubleStorage", DType::f64},
                                                     {"torch HalfStorage", DType::f16},
                                                     {"torch BFloat16Storage", DType::bf16},
                                                     {"torch LongStorage", DType::i64},
                                                     {"torch IntStorage", DType::i32},
                                                     {"torch ShortStorage", DType::i16},
                                                     {"torch CharStorage", DType::i8},
                                                     {"torch ByteStorage", DType::u8},
                                                     {"torch BoolStorage", DType::boolean}}};

const StorageName* storage_named(std::string_view name) {
  const auto found = std::find_if(storage_names.begin(), storage_names.end(), [&](auto& s) { return s.name == name; });
  return found == storage_names.end() ? nullptr : &*found;
}

}  // namespace

// Protocol 2 with the opcodes of protocols 4 and 5 that plain data needs.
class PickleMachine {
 public:
  PickleMachine(Pickle& pickle, std::span<const std::byte> bytes) : pickle_(pickle), bytes_(bytes) {}

  void run() {
    for (;;) {
      const auto opcode = take<std::uint8_t>();
      if (opcode == '.') break;
      step(opcode);
    }
    pickle_.root_ = pop();
    if (!stack_.empty()) throw input_error("pickle: something is left over");
  }

 private:
  using Value = PickleValue*;

  template <class T>
  T take() {
    if (bytes_.size() - at_ < sizeof(T)) throw input_error("pickle: cut off");
    const T value = read_little_endian<T>(bytes_, at_);
    at_ += sizeof(T);
    return value;
  }
  std::string_view take_text(std::uint64_t size) {
    if (size > bytes_.size() - at_) throw input_error("pickle: a text that is longer than the file");
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data() + at_), static_cast<std::size_t>(size));
    at_ += text.size();
    return text;
  }
  std::string_view take_line() {
    const std::string_view rest(reinterpret_cast<const char*>(bytes_.data() + at_), bytes_.size() - at_);
    const std::size_t end = rest.find('\n');
    if (end == rest.npos) throw input_error("pickle: cut off");
    at_ += end + 1;
    return rest.substr(0, end);
  }

  Value make(Kind kind) {
    if (pickle_.values_.size() >= most_values) throw input_error("pickle: more values than a model has");
    pickle_.values_.emplace_back().kind = kind;
    return &pickle_.values_.back();
  }
  void push(Value value) { stack_.push_back(value); }
  Value push(Kind kind) {
    push(make(kind));
    return stack_.back();
  }
  Value pop() {
    if (stack_.empty() || stack_.back()->kind == Kind::mark) throw input_error("pickle: an empty stack");
    Value value = stack_.back();
    stack_.pop_back();
    return value;
  }
  Value pop(Kind kind, const char* what) {
    Value value = pop();
    if (value->kind != kind) throw input_error(cat("pickle: no ", what, " where one is needed"));
    return value;
  }
  Value top(Kind kind, const char* what) {
    Value value = pop(kind, what);
    push(value);
    return value;
  }
  // What lies above the last mark, which goes too.
  std::vector<const PickleValue*> pop_to_mark() {
    std::size_t mark = stack_.size();
    while (mark > 0 && stack_[mark - 1]->kind != Kind::mark) --mark;
    if (mark == 0) throw input_error("pickle: no mark");
    std::vector<const PickleValue*> out(stack_.begin() + static_cast<std::ptrdiff_t>(mark), stack_.end());
    stack_.resize(mark - 1);
    return out;
  }

  void push_integer(std::int64_t value) { push(Kind::integer)->integer = value; }
  void push_boolean(bool value) { push(Kind::boolean)->integer = value; }
  void push_text(std::string_view text) { push(Kind::text)->text = text; }
  void push_tuple(std::size_t size) {
    std::vector<const PickleValue*> items(size);
    for (std::size_t i = size; i-- > 0;) items[i] = pop();
    push(Kind::tuple)->items = std::move(items);
  }
  void push_long(std::size_t size) {
    const std::string_view digits = take_text(size);
    if (size > 8) throw input_error("pickle: a number beyond 64 bits");
    std::uint64_t value = size > 0 && (digits.back() & 0x80) ? ~std::uint64_t{0} : 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<std::uint8_t>(digits[i]);
    push_integer(static_cast<std::int64_t>(value));
  }
  void push_global(std::string name) {
    if (name != ordered_dict && name != rebuild_tensor && name != rebuild_parameter && !storage_named(name)) {
      std::replace(name.begin(), name.end(), ' ', '.');
      throw input_error(cat("pickle: refused, it names ", name.substr(0, 80)),
                        "only tensors, dicts, lists, numbers and strings are read; nothing is executed");
    }
    push(Kind::global)->text = std::move(name);
  }

  void set_items(Value dict, const std::vector<const PickleValue*>& items) {
    if (items.size() % 2 != 0) throw input_error("pickle: a key without a value");
    for (std::size_t i = 0; i < items.size(); i += 2) dict->entries.emplace_back(items[i], items[i + 1]);
  }

  void put(std::uint64_t index) {
    if (stack_.empty()) throw input_error("pickle: an empty stack");
    memo_[index] = stack_.back();
  }
  void get(std::uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) throw input_error("pickle: a reference to nothing");
    push(found->second);
  }

  // ("storage", type, key, place, elements), as torch.save names its storages.
  void persistent_id() {
    const Value id = pop(Kind::tuple, "storage tuple");
    const auto& items = id->items;
    const auto is = [&](std::size_t i, Kind kind) { return items[i]->kind == kind; };
    if (items.size() != 5 || !is(0, Kind::text) || items[0]->text != "storage" || !is(1, Kind::global) || !is(2, Kind::text) ||
        !is(4, Kind::integer) || items[4]->integer < 0 || !storage_named(items[1]->text)) {
      throw input_error("pickle: a storage of an unknown form");
    }
    const Value storage = push(Kind::storage);
    storage->dtype = storage_named(items[1]->text)->dtype;
    storage->text = items[2]->text;
    storage->integer = items[4]->integer;
  }

  static std::vector<std::int64_t> integers(const PickleValue& tuple) {
    if (tuple.kind != Kind::tuple || tuple.items.size() > 16) throw input_error("pickle: a shape of an unknown form");
    std::vector<std::int64_t> out;
    for (const auto* item : tuple.items) {
      if (item->kind != Kind::integer || item->integer < 0) throw input_error("pickle: a shape of an unknown form");
      out.push_back(item->integer);
    }
    return out;
  }

  // The three calls that tensor dicts are made of.
  void reduce() {
    const Value arguments = pop(Kind::tuple, "argument tuple"), function = pop(Kind::global, "function");
    const auto& a = arguments->items;
    if (function->text == ordered_dict) {
      if (!a.empty()) throw input_error("pickle: an OrderedDict of an unknown form");
      push(Kind::dict);
    } else if (function->text == rebuild_tensor) {
      if (a.size() < 6 || a[0]->kind != Kind::storage || a[1]->kind != Kind::integer || a[1]->integer < 0) {
        throw input_error("pickle: a tensor of an unknown form");
      }
      const Value tensor = push(Kind::tensor);
      tensor->storage = a[0];
      tensor->dtype = a[0]->dtype;
      tensor->integer = a[1]->integer;
      tensor->shape = integers(*a[2]);
      tensor->stride = integers(*a[3]);
      if (tensor->shape.size() != tensor->stride.size()) throw input_error("pickle: a tensor of an unknown form");
    } else if (function->text == rebuild_parameter) {
      if (a.empty() || a[0]->kind != Kind::tensor) throw input_error("pickle: a parameter of an unknown form");
      push(const_cast<Value>(a[0]));
    } else {
      throw input_error("pickle: a call of something that is no function");
    }
  }

  void step(std::uint8_t opcode) {
    switch (opcode) {
      case 0x80: protocol(); break;                        // PROTO
      case 0x95: take<std::uint64_t>(); break;             // FRAME
      case '(': push(Kind::mark); break;                   // MARK
      case '}': push(Kind::dict); break;                   // EMPTY_DICT
      case ']': push(Kind::list); break;                   // EMPTY_LIST
      case ')': push(Kind::tuple); break;                  // EMPTY_TUPLE
      case 'N': push(Kind::none); break;                   // NONE
      case 0x88: push_boolean(true); break;                // NEWTRUE
      case 0x89: push_boolean(false); break;               // NEWFALSE
      case 'K': push_integer(take<std::uint8_t>()); break;   // BININT1
      case 'M': push_integer(take<std::uint16_t>()); break;  // BININT2
      case 'J': push_integer(static_cast<std::int32_t>(take<std::uint32_t>())); break;  // BININT
      case 0x8a: push_long(take<std::uint8_t>()); break;     // LONG1
      case 'G': {                                            // BINFLOAT: big-endian
        std::uint64_t bits = take<std::uint64_t>();
        push(Kind::real)->real = std::bit_cast<double>(__builtin_bswap64(bits));
        break;
      }
      case 'X': push_text(take_text(take<std::uint32_t>())); break;   // BINUNICODE
      case 0x8c: push_text(take_text(take<std::uint8_t>())); break;   // SHORT_BINUNICODE
      case 0x8d: push_text(take_text(take<std::uint64_t>())); break;  // BINUNICODE8
      case 'q': put(take<std::uint8_t>()); break;            // BINPUT
      case 'r': put(take<std::uint32_t>()); break;           // LONG_BINPUT
      case 0x94: put(memo_.size()); break;                   // MEMOIZE
      case 'h': get(take<std::uint8_t>()); break;            // BINGET
      case 'j': get(take<std::uint32_t>()); break;           // LONG_BINGET
      case 't': {                                            // TUPLE
        auto items = pop_to_mark();
        push(Kind::tuple)->items = std::move(items);
        break;
      }
      case 0x85: push_tuple(1); break;  // TUPLE1
      case 0x86: push_tuple(2); break;  // TUPLE2
      case 0x87: push_tuple(3); break;  // TUPLE3
      case 'a': {                       // APPEND
        const Value item = pop();
        top(Kind::list, "list")->items.push_back(item);
        break;
      }
      case 'e': {  // APPENDS
        const auto items = pop_to_mark();
        auto& list = top(Kind::list, "list")->items;
        list.insert(list.end(), items.begin(), items.end());
        break;
      }
      case 's': {  // SETITEM
        const Value value = pop(), key = pop();
        set_items(top(Kind::dict, "dict"), {key, value});
        break;
      }
      case 'u': {  // SETITEMS
        const auto items = pop_to_mark();
        set_items(top(Kind::dict, "dict"), items);
        break;
      }
      case 'c': {  // GLOBAL
        const std::string module(take_line());
        push_global(cat(module, " ", take_line()));
        break;
      }
      case 0x93: {  // STACK_GLOBAL
        const Value name = pop(Kind::text, "name"), module = pop(Kind::text, "name");
        push_global(cat(module->text, " ", name->text));
        break;
      }
      case 'Q': persistent_id(); break;  // BINPERSID
      case 'R': reduce(); break;         // REDUCE
      case 'b': {                        // BUILD: an OrderedDict's attributes, which hold no tensors
        pop();
        top(Kind::dict, "dict");
        break;
      }
      default: throw input_error(cat("pickle: refused, an opcode (", static_cast<int>(opcode), ") that plain data does not need"));
    }
  }

  void protocol() {
    if (const int version = take<std::uint8_t>(); version > 5) throw input_error(cat("pickle: protocol ", version, " is not known"));
  }

  Pickle& pickle_;
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  std::vector<Value> stack_;
  std::unordered_map<std::uint64_t, Value> memo_;
};

Pickle::Pickle(std::span<const std::byte> bytes) {
  PickleMachine(*this, bytes).run();
}

}  // namespace blt::io
