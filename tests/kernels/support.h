// What the kernel tests share: poisoned operands in every layout, test data, contexts and comparisons.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <ostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/catch.h"
#include "tests/kernels/target_memory.h"

namespace unet::kernels::test {

/// Logical sizes of an operand.
struct Shape {
  int64_t n = 1, h = 1, w = 1, c = 1;

  int64_t size() const { return n * h * w * c; }
  bool operator==(const Shape&) const = default;
};

inline std::ostream& operator<<(std::ostream& out, const Shape& s) {
  return out << "[" << s.n << "," << s.h << "," << s.w << "," << s.c << "]";
}

/// How an operand is stored. The crops are windows into a larger image, so their rows do not touch; the shifted one
/// starts one element past the alignment of all others.
enum class Storage : uint8_t { nhwc, blocked, nhwc_crop, blocked_crop, nhwc_shifted };

/// Those that the target under test takes.
inline constexpr auto kStorages = [] {
  if constexpr (kOnDevice) {
    return std::array{Storage::nhwc, Storage::nhwc_crop, Storage::nhwc_shifted};
  } else {
    return std::array{Storage::nhwc, Storage::blocked, Storage::nhwc_crop, Storage::blocked_crop};
  }
}();
/// One of them that is not dense channels last.
inline constexpr Storage kOtherStorage = kStorages[1];

inline std::ostream& operator<<(std::ostream& out, Storage storage) {
  constexpr std::array names{"nhwc", "blocked", "nhwc crop", "blocked crop", "nhwc shifted"};
  return out << names[static_cast<size_t>(storage)];
}

/// The targets of this program.
inline constexpr auto kTargets = [] {
  if constexpr (kOnDevice) {
    return std::array{kTarget};
  } else {
    return std::array{Target::reference, Target::cpu};
  }
}();

/// f of every value.
template <class F>
std::vector<double> mapped(std::vector<double> values, F f) {
  for (double& v : values) v = f(v);
  return values;
}

/// Channel counts around the block of 16, the vectors of a device and its tiles.
inline constexpr auto kChannels = [] {
  if constexpr (kOnDevice) {
    return std::array<int64_t, 17>{1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 128, 130};
  } else {
    return std::array<int64_t, 10>{1, 2, 3, 5, 8, 15, 16, 17, 31, 33};
  }
}();

/// Values in logical NHWC order; double holds every element type exactly.
using Values = std::vector<double>;

/// What memory holds before anyone writes it: a NaN, the largest int32_t, 127.
template <class T>
T poison() {
  T value;
  std::memset(&value, 0xff, sizeof value);
  reinterpret_cast<unsigned char*>(&value)[sizeof value - 1] = 0x7f;
  return value;
}

/// An operand that owns its memory. Everything around the view is poison, and intact() tells whether it still is.
template <class T>
class Buffer {
 public:
  /// An output: poison everywhere.
  Buffer(Storage storage, Shape shape) : shape_(shape) {
    const bool is_crop = storage == Storage::nhwc_crop || storage == Storage::blocked_crop;
    const bool is_blocked = storage == Storage::blocked || storage == Storage::blocked_crop;
    const int64_t top = is_crop ? 1 : 0, left = is_crop ? 2 : 0;
    const int64_t rows = shape.h + 2 * top, columns = shape.w + 2 * left - (is_crop ? 1 : 0);
    const int64_t stored_c = is_blocked ? round_up(shape.c, kChannelBlock) : shape.c;
    const int64_t first = kCanary + (storage == Storage::nhwc_shifted ? 1 : 0);
    const int64_t end = first + shape.n * rows * columns * stored_c;
    elements_ = end + kCanary;
    memory_ = std::make_unique<TargetMemory>(bytes(elements_), bytes(first), bytes(end));
    std::fill_n(begin(), elements_, poison<T>());
    T* data = begin() + first;
    const View<T> whole = is_blocked ? View<T>::blocked(data, shape.n, rows, columns, shape.c)
                                     : View<T>::nhwc(data, shape.n, rows, columns, shape.c);
    view_ = is_crop ? whole.crop(top, left, shape.h, shape.w) : whole;
  }

  /// An input that holds `values`, with zeros in the channel padding.
  Buffer(Storage storage, Shape shape, const Values& values) : Buffer(storage, shape) { assign(values); }

  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer(Buffer&&) noexcept = default;

  const View<T>& view() const { return view_; }
  const Shape& shape() const { return shape_; }
  operator View<T>() const { return view_; }        // NOLINT(google-explicit-constructor)
  operator View<const T>() const { return view_; }  // NOLINT(google-explicit-constructor)

  void assign(const Values& values) const {
    REQUIRE(static_cast<int64_t>(values.size()) == shape_.size());
    auto value = values.begin();
    for_each_pixel([&](int64_t n, int64_t h, int64_t w) {
      std::vector<T> pixel(static_cast<size_t>(stored_channels()), T{});
      for (int64_t c = 0; c < shape_.c; ++c) pixel[static_cast<size_t>(c)] = static_cast<T>(*value++);
      for (int64_t c = 0; c < stored_channels(); c += view_.block) {
        TargetMemory::upload(&view_(n, h, w, c), &pixel[static_cast<size_t>(c)], bytes(view_.block));
      }
    });
  }

  Values values() const {
    Values values;
    values.reserve(static_cast<size_t>(shape_.size()));
    for_each_pixel([&](int64_t n, int64_t h, int64_t w) {
      for (int64_t c = 0; c < shape_.c; ++c) values.push_back(static_cast<double>(view_(n, h, w, c)));
    });
    return values;
  }

  /// True where all memory outside the view is untouched and the channel padding holds zeros.
  bool intact() const {
    std::vector<bool> is_inside(static_cast<size_t>(elements_), false);
    bool has_zero_padding = true;
    for_each_pixel([&](int64_t n, int64_t h, int64_t w) {
      for (int64_t c = 0; c < stored_channels(); ++c) {
        const T* element = &view_(n, h, w, c);
        is_inside[static_cast<size_t>(element - begin())] = true;
        if (c >= shape_.c && !(static_cast<double>(*element) == 0)) has_zero_padding = false;
      }
    });
    const T expected = poison<T>();
    for (int64_t i = 0; i < elements_; ++i) {
      if (!is_inside[static_cast<size_t>(i)] && std::memcmp(begin() + i, &expected, sizeof expected) != 0) return false;
    }
    return has_zero_padding;
  }

 private:
  static constexpr int64_t kCanary = 64;  // elements before and after

  static size_t bytes(int64_t elements) { return static_cast<size_t>(elements) * sizeof(T); }
  T* begin() const { return static_cast<T*>(memory_->data()); }
  int64_t stored_channels() const { return view_.is_blocked() ? round_up(shape_.c, kChannelBlock) : shape_.c; }

  template <class Visit>
  void for_each_pixel(Visit visit) const {
    for (int64_t n = 0; n < shape_.n; ++n) {
      for (int64_t h = 0; h < shape_.h; ++h) {
        for (int64_t w = 0; w < shape_.w; ++w) visit(n, h, w);
      }
    }
  }

  Shape shape_;
  int64_t elements_ = 0;
  std::unique_ptr<TargetMemory> memory_;
  View<T> view_;
};

/// Hands out poisoned blocks; the owner can ask whether all came back.
class TestWorkspace : public Workspace {
 public:
  void* allocate(size_t bytes) override {
    TargetMemory memory(bytes, 0, bytes);
    void* const block = memory.data();
    std::memset(block, 0xff, bytes);
    blocks_.emplace(block, std::move(memory));
    return block;
  }
  void release(void* block) noexcept override { blocks_.erase(block); }
  bool is_empty() const { return blocks_.empty(); }

 private:
  std::map<void*, TargetMemory> blocks_;
};

/// Runs operations on one target, waits for them and sees to it that they give their scratch memory back.
class Runner {
 public:
  explicit Runner(Target target, int threads = 2) {
    context.target = target;
    context.threads = threads;
    context.workspace = &workspace_;
    context.state = kOnDevice && target == kTarget ? device_state() : make_target_state(target);
  }
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  template <class Operation>
  void operator()(const Operation& operation) {
    run(context, operation);
    context.state->synchronize();
    if constexpr (requires { operation.cache; }) {
      if (kOnDevice && operation.cache != nullptr) return;  // it keeps the packed filter in workspace memory
    }
    REQUIRE(workspace_.is_empty());
  }

  Context context;

 private:
  TestWorkspace workspace_;
};

/// Sizes of parameters for multi-tensor updates: around vectors and chunks of work, and many small ones.
inline std::vector<int64_t> sizes_of_parameters() {
  std::vector<int64_t> sizes{1, 15, 16, 17, 1000, 4095, 4096, 4097, 12289};
  for (int64_t i = 0; i < 140; ++i) sizes.push_back(1 + i % 7);
  return sizes;
}

/// Integers drawn uniformly from [low, high]: sums of few of them are exact in every type.
inline Values integers(Shape shape, uint32_t seed, int low, int high) {
  std::mt19937 random(seed);
  Values values(static_cast<size_t>(shape.size()));
  for (double& v : values) v = low + static_cast<int>(random() % static_cast<uint32_t>(high - low + 1));
  return values;
}

/// Numbers drawn uniformly from [low, high), rounded to T.
template <class T = double>
Values randoms(Shape shape, uint32_t seed, double low, double high) {
  std::mt19937_64 random(seed);
  Values values(static_cast<size_t>(shape.size()));
  for (double& v : values) {
    const double uniform = static_cast<double>(random() >> 11) * 0x1p-53;
    v = static_cast<double>(static_cast<T>(low + (high - low) * uniform));
  }
  return values;
}

/// Every element equal; NaN equals NaN. Reports the first difference.
inline void require_equal(const Values& actual, const Values& expected) {
  REQUIRE(actual.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    if (actual[i] == expected[i] || (std::isnan(actual[i]) && std::isnan(expected[i]))) continue;
    FAIL("element " << i << ": expected " << expected[i] << ", got " << actual[i]);
  }
}

/// |actual - expected| <= tolerance * max(|expected|, floor) for every element. Reports the first that is not.
inline void require_close(const Values& actual, const Values& expected, double tolerance, double floor = 1) {
  REQUIRE(actual.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const double error = std::abs(actual[i] - expected[i]);
    if (error <= tolerance * std::max(std::abs(expected[i]), floor)) continue;
    FAIL("element " << i << ": expected " << expected[i] << ", got " << actual[i] << ", difference " << error);
  }
}

/// Central differences of f at x, one element at a time. Exact but for rounding where f is piecewise linear.
inline Values numeric_gradient(const std::function<double(const Values&)>& f, Values x, double step = 1e-4) {
  Values gradient(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const double centre = x[i];
    x[i] = centre + step;
    const double above = f(x);
    x[i] = centre - step;
    const double below = f(x);
    x[i] = centre;
    gradient[i] = (above - below) / (2 * step);
  }
  return gradient;
}

inline double dot(const Values& a, const Values& b) {
  REQUIRE(a.size() == b.size());
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// f(threads) is the same, to the last bit, for every number of threads; on the emulated target, for every order in
/// which its threads may run and its copies may finish; on a GPU, from run to run.
inline void require_schedule_independent(const std::function<Values(int)>& f) {
  const Values expected = f(1);
#if UNET_WITH_EMULATED
  if constexpr (kTarget == Target::emulated) {
    auto& device = dynamic_cast<emulated::State&>(*device_state());
    const emulated::Schedule before = device.schedule();
    for (const emulated::Schedule& schedule : emulated::kSchedules) {
      device.set_schedule(schedule);
      CAPTURE(schedule.name());
      require_equal(f(1), expected);
    }
    device.set_schedule(before);
    return;
  }
#endif
  for (const int threads : {2, 3, 5}) {
    CAPTURE(threads);
    require_equal(f(threads), expected);
  }
}

/// The operation refuses with an Exception whose text holds every one of `parts`.
template <class Exception, class Operation>
void require_refused(const Operation& operation, const std::vector<std::string>& parts) {
  try {
    operation.check();
  } catch (const Exception& error) {
    const std::string text = error.what();
    for (const std::string& part : parts) {
      INFO("message: " << text);
      INFO("expected part: " << part);
      REQUIRE(text.find(part) != std::string::npos);
    }
    return;
  }
  FAIL("expected the operation to be refused, naming " << parts.front());
}

}  // namespace unet::kernels::test
