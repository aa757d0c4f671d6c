#include "kernels/emulated/bulk_copy.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/emulated/models.h"
#include "kernels/emulated/scheduler.h"

namespace unet::kernels::emulated {

TensorMap make_tensor_map(const void* base, int element_bytes, bool tf32, int rank, const uint64_t* size,
                          const uint64_t* stride, const uint32_t* box, unsigned swizzle_bytes) {
  const auto require = [](bool condition, const auto&... what) {
    if (!condition) throw DeviceError(concat("tensor map: ", what...));
  };
  require(reinterpret_cast<uintptr_t>(base) % 16 == 0, "expected a base aligned to 16 bytes");
  require(rank >= 1 && rank <= 5, "expected rank 1 to 5, got ", rank);
  TensorMap map;
  map.base = static_cast<std::byte*>(const_cast<void*>(base));
  map.element_bytes = element_bytes;
  map.tf32 = tf32;
  map.rank = rank;
  map.swizzle_bytes = swizzle_bytes;
  map.stride[0] = element_bytes;
  for (int i = 0; i < rank; ++i) {
    require(size[i] >= 1 && size[i] <= uint64_t{1} << 32, "expected size ", i, " from 1 to 2^32, got ", size[i]);
    require(box[i] >= 1 && box[i] <= 256, "expected box ", i, " from 1 to 256, got ", box[i]);
    map.size[i] = static_cast<int64_t>(size[i]);
    map.box[i] = static_cast<int>(box[i]);
    if (i == 0) continue;
    require(stride[i] % 16 == 0 && stride[i] < uint64_t{1} << 40, "expected stride ", i,
            " to be a multiple of 16 bytes below 2^40, got ", stride[i]);
    map.stride[i] = static_cast<int64_t>(stride[i]);
  }
  const auto row = box[0] * static_cast<unsigned>(element_bytes);
  require(row % 16 == 0, "expected rows of a multiple of 16 bytes, got ", row);
  require(swizzle_bytes == 0 || row <= swizzle_bytes, "expected rows of at most the ", swizzle_bytes,
          " bytes of the swizzle, got ", row);
  return map;
}

namespace {

uint32_t round_to_tf32(uint32_t bits) {  // to nearest, ties to even
  if ((bits & 0x7f800000U) == 0x7f800000U) return bits;
  return (bits + 0xfffU + (bits >> 13 & 1U)) & ~0x1fffU;
}

/// The box of the map at these coordinates, with its tile at `tile`. Reports a tile that is no operand of TMA.
Box box_at(Multiprocessor& sm, const TensorMap& map, std::byte* tile, const int* at, int rank, const char* instruction,
           Site site) {
  if (rank != map.rank) {
    sm.abandon(Defect::bad_operand, site, concat(instruction, ": expected a map of rank ", rank, ", got ", map.rank));
  }
  // The swizzle repeats after 8 rows, and is taken from address bits.
  const unsigned alignment = map.swizzle_bytes == 0 ? 128 : 8 * map.swizzle_bytes;
  const auto row_bytes = static_cast<unsigned>(map.box[0] * map.element_bytes);
  const unsigned pitch = map.swizzle_bytes == 0 ? row_bytes : map.swizzle_bytes;
  unsigned rows = 1;
  for (int i = 1; i < rank; ++i) rows *= static_cast<unsigned>(map.box[i]);
  if (!sm.shared.contains(tile, size_t{rows} * pitch)) {
    sm.abandon(Defect::bad_operand, site, concat(instruction, ": the tile is not in shared memory"));
  }
  const uint32_t base = sm.shared.offset(tile);
  if (base % 128 != 0) {
    sm.abandon(Defect::misaligned, site, concat(instruction, ": the tile must be aligned to 128 bytes"));
  }
  if (base % alignment != 0) {
    sm.report(Defect::misaligned, site,
              concat(instruction, ": the tile must be aligned to ", alignment,
                     " bytes for its swizzle to start with the first row"));
  }
  Box box;
  box.round_to_tf32 = map.tf32;
  box.chunks.reserve(rows * row_bytes / 16);
  // Bytes of each row that lie in the tensor, as far as its first dimension goes.
  const int64_t row_begin = -int64_t{at[0]} * map.element_bytes;
  const int64_t row_end = (map.size[0] - at[0]) * map.element_bytes;
  for (unsigned r = 0; r < rows; ++r) {
    std::byte* row = map.base + int64_t{at[0]} * map.element_bytes;
    bool inside = true;
    unsigned rest = r;
    for (int i = 1; i < rank; ++i) {
      const int64_t c = int64_t{at[i]} + rest % static_cast<unsigned>(map.box[i]);
      rest /= static_cast<unsigned>(map.box[i]);
      inside = inside && c >= 0 && c < map.size[i];
      row += c * map.stride[i];
    }
    for (unsigned byte = 0; byte < row_bytes; byte += 16) {
      const auto within = [&](int64_t edge) { return static_cast<uint8_t>(std::clamp<int64_t>(edge - byte, 0, 16)); };
      const uint8_t begin = inside ? within(row_begin) : 0, end = inside ? within(row_end) : 0;
      box.chunks.push_back({row + byte, sm.shared.base() + swizzle(base + r * pitch + byte, map.swizzle_bytes), begin,
                            std::max(begin, end)});
    }
  }
  return box;
}

}  // namespace

// --- Loads

void BulkLoads::perform(Multiprocessor& sm, Load& load) {
  for (const BoxChunk& c : load.box.chunks) {
    std::memset(c.shared, 0, 16);
    if (c.begin < c.end) std::memcpy(c.shared + c.begin, c.global + c.begin, c.end - c.begin);
    if (load.box.round_to_tf32) {
      uint32_t words[4];
      std::memcpy(words, c.shared, 16);
      for (uint32_t& word : words) word = round_to_tf32(word);
      std::memcpy(c.shared, words, 16);
    }
  }
  sm.mbarriers.complete_bytes(sm, load.barrier, load.box.bytes(), load.agent);
}

void BulkLoads::start(Multiprocessor& sm, Box box, uint64_t* barrier, Site site) {
  Load load{std::move(box), barrier, sm.checker.start_copy(), site};
  for (const BoxChunk& c : load.box.chunks) {
    if (c.begin < c.end) sm.checker.agent_reads(load.agent, c.global + c.begin, c.end - c.begin, site);
    sm.checker.agent_writes(load.agent, c.shared, 16, site);
  }
  loads_.push_back(std::move(load));
  if (sm.schedule.completion == Completion::eager) finish_one(sm);
}

void BulkLoads::finish_one(Multiprocessor& sm) {
  const auto chosen = loads_.begin() + sm.random.below(static_cast<uint32_t>(loads_.size()));
  Load load = std::move(*chosen);
  loads_.erase(chosen);
  perform(sm, load);
}

// --- Stores

void BulkStores::perform(Store& store) {
  if (std::exchange(store.performed, true)) return;
  for (const BoxChunk& c : store.box.chunks) {
    if (c.begin < c.end) std::memcpy(c.global + c.begin, c.shared + c.begin, c.end - c.begin);
  }
}

void BulkStores::start(Multiprocessor& sm, Box box, Site site) {
  Store store{std::move(box), groups_, sm.checker.start_copy(), sm.checker.start_copy(), false, false, site};
  for (const BoxChunk& c : store.box.chunks) {
    if (c.begin == c.end) continue;
    sm.checker.agent_reads(store.reader, c.shared + c.begin, c.end - c.begin, site);
    sm.checker.agent_writes(store.writer, c.global + c.begin, c.end - c.begin, site);
  }
  stores_.push_back(std::move(store));
  if (sm.completes_now()) perform(stores_.back());
}

void BulkStores::wait(Multiprocessor& sm, int pending, bool read) {
  const auto waited_for = [&](const Store& store) { return store.group < groups_ - pending; };
  for (Store& store : stores_) {
    if (!waited_for(store)) continue;
    perform(store);
    store.read = true;
    sm.checker.join(store.reader);
    if (!read) sm.checker.join(store.writer);
  }
  if (!read) std::erase_if(stores_, waited_for);
}

const Site* BulkStores::unread() const {
  for (const Store& store : stores_) {
    if (!store.read) return &store.site;
  }
  return nullptr;
}

// --- Instructions

void tma_load(void* to, const TensorMap* map, uint64_t* barrier, const int* at, int rank, Site site) {
  Multiprocessor& m = sm();
  m.mbarriers.require_usable(m, barrier, true, "TMA load", site);
  m.loads.start(m, box_at(m, *map, static_cast<std::byte*>(to), at, rank, "TMA load", site), barrier, site);
}

void tma_store(const TensorMap* map, const void* from, const int* at, int rank, Site site) {
  Multiprocessor& m = sm();
  auto* tile = static_cast<std::byte*>(const_cast<void*>(from));
  m.running().stores.start(m, box_at(m, *map, tile, at, rank, "TMA store", site), site);
}

void tma_store_commit() { sm().running().stores.commit(); }
void tma_store_wait(int pending, bool read) { sm().running().stores.wait(sm(), pending, read); }

}  // namespace unet::kernels::emulated
