#include "kernels/emulated/state.h"

#include <sys/mman.h>

#include <cstring>
#include <utility>

#include "kernels/emulated/scheduler.h"
#include "kernels/host_state.h"

namespace unet::kernels::emulated {
namespace {

constexpr size_t kGranularity = size_t{64} << 10;
constexpr unsigned long long kNoBadPixel = ~0ULL;
constexpr int kPoison = 0xff;  // every byte of memory that is handed out: NaN as a float

}  // namespace

struct State::Memory {
  Checker checker;
  size_t total_bytes = size_t{4} << 30;
  size_t committed_bytes = 0;
};

/// Address space with inaccessible pages before and behind it.
class State::DeviceAddressSpace final : public AddressSpace {
 public:
  DeviceAddressSpace(std::shared_ptr<Memory> memory, size_t bytes) : memory_(std::move(memory)) {
    size_ = static_cast<size_t>(round_up(static_cast<int64_t>(bytes), kGranularity));
    void* p = mmap(nullptr, size_ + 2 * kGranularity, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) throw OutOfMemory("emulated: no address space could be reserved", size_, 0);
    mapping_ = static_cast<char*>(p);
    memory_->checker.add_region(base(), size_);
  }
  ~DeviceAddressSpace() override {
    memory_->checker.remove_region(base());
    memory_->committed_bytes -= committed_bytes_;
    munmap(mapping_, size_ + 2 * kGranularity);
  }
  DeviceAddressSpace(const DeviceAddressSpace&) = delete;
  DeviceAddressSpace& operator=(const DeviceAddressSpace&) = delete;

  char* base() const override { return mapping_ + kGranularity; }
  size_t size() const override { return size_; }
  size_t granularity() const override { return kGranularity; }

  bool commit(size_t from, size_t to) noexcept override {
    if (to > size_ || memory_->committed_bytes + (to - from) > memory_->total_bytes) return false;
    if (mprotect(base() + from, to - from, PROT_READ | PROT_WRITE) != 0) return false;
    count(static_cast<ptrdiff_t>(to - from));
    return true;
  }
  void decommit(size_t from, size_t to) noexcept override {
    madvise(base() + from, to - from, MADV_DONTNEED);
    mprotect(base() + from, to - from, PROT_NONE);
    count(-static_cast<ptrdiff_t>(to - from));
  }
  void on_allocate(void* block, size_t bytes) noexcept override {
    std::memset(block, kPoison, bytes);
    memory_->checker.allocate(block, bytes);
  }
  void on_release(void* block, size_t bytes) noexcept override { memory_->checker.release(block, bytes); }

 private:
  void count(ptrdiff_t bytes) {
    committed_bytes_ += static_cast<size_t>(bytes);
    memory_->committed_bytes += static_cast<size_t>(bytes);
  }

  std::shared_ptr<Memory> memory_;
  char* mapping_ = nullptr;
  size_t size_ = 0;
  size_t committed_bytes_ = 0;
};

class State::Graph final : public CapturedGraph {
 public:
  std::vector<std::function<void()>> work;
};

State::State()
    : memory_(std::make_shared<Memory>()), multiprocessor_(std::make_unique<Multiprocessor>(memory_->checker)) {
  device_.name = "emulated GPU";
  device_.multiprocessors = 4;
  device_.total_bytes = memory_->total_bytes;
  set_capability(80);
  own_memory_ = reserve(kGranularity);
  own_memory_->commit(0, kGranularity);
  own_memory_->on_allocate(own_memory_->base(), sizeof(*bad_pixel_));
  bad_pixel_ = reinterpret_cast<unsigned long long*>(own_memory_->base());
  upload(bad_pixel_, &kNoBadPixel, sizeof kNoBadPixel);
}

State::~State() = default;

void State::set_capability(int capability) {
  device_.capability = capability;
  device_.shared_bytes_per_block = size_t{capability >= 90 ? 227U : 163U} << 10;
}

void State::set_memory(size_t bytes) { device_.total_bytes = memory_->total_bytes = bytes; }

std::unique_ptr<AddressSpace> State::reserve(size_t bytes) {
  return std::make_unique<DeviceAddressSpace>(memory_, bytes);
}

DeviceInfo State::info() const {
  DeviceInfo info = device_;
  info.free_bytes = device_.total_bytes - memory_->committed_bytes;
  return info;
}

void State::perform(std::function<void()> work) {
  if (capture_ != nullptr) {
    capture_->work.push_back(std::move(work));
  } else {
    work();
  }
}

void State::launch(const Launch& launch) {
  perform([this, launch] {
    ++launches_;
    multiprocessor_->execute({launch.grid, launch.block, launch.shared_bytes, launch.site, launch.call,
                              launch.arguments.get(), launch.argument_bytes},
                             schedule_, device_);
  });
}

void State::clear(void* data, size_t bytes) {
  perform([this, data, bytes] {
    std::memset(data, 0, bytes);
    memory_->checker.write_from_host(data, bytes);
  });
}

void State::upload(void* to, const void* from, size_t bytes) {
  perform([this, to, from, bytes] {
    std::memcpy(to, from, bytes);
    memory_->checker.write_from_host(to, bytes);
  });
}

void State::download(void* to, const void* from, size_t bytes) {
  synchronize();
  std::memcpy(to, from, bytes);
}

std::shared_ptr<void> State::allocate_staging(size_t bytes) { return HostState().allocate_staging(bytes); }

void State::synchronize() {
  if (capture_ != nullptr) throw ConfigError("emulated: downloads and synchronize() are not possible while capturing");
  const unsigned long long pixel = std::exchange(*bad_pixel_, kNoBadPixel);
  if (pixel == kNoBadPixel) return;
  throw DataError(concat("device: a kernel found input that it cannot use in image ", pixel >> 48, ", row ",
                         pixel >> 24 & 0xffffffU, ", column ", pixel & 0xffffffU));
}

void State::begin_capture() {
  if (capture_ != nullptr) throw ConfigError("emulated: a capture has begun already; end it first");
  capture_ = std::make_unique<Graph>();
}

std::unique_ptr<CapturedGraph> State::end_capture() {
  if (capture_ == nullptr) throw ConfigError("emulated: no capture has begun");
  return std::move(capture_);
}

void State::replay(const CapturedGraph& graph) {
  for (const auto& work : dynamic_cast<const Graph&>(graph).work) work();
}

std::shared_ptr<TargetState> make_state() { return std::make_shared<State>(); }

State& state_of(const Context& context) {
  auto* state = dynamic_cast<State*>(context.state.get());
  if (state == nullptr) {
    throw ConfigError(
        "context: expected the state of the emulated target; make it by make_target_state(Target::emulated)");
  }
  return *state;
}

}  // namespace unet::kernels::emulated
