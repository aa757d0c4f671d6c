#include "benchmarks/layer_case.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <span>

#include "kernels/conv2d.h"
#include "kernels/conv_transpose2d.h"

namespace unet::benchmarks {
namespace {

using kernels::Context;
using kernels::Layout;
using kernels::Scratch;
using kernels::View;

// Normal numbers, drawn once: a tensor takes a stretch of them from a place that its seed chooses.
const std::vector<float>& normal_numbers() {
  static const std::vector<float> numbers = [] {
    std::mt19937_64 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> drawn(size_t{1} << 22);
    for (float& value : drawn) value = normal(random);
    return drawn;
  }();
  return numbers;
}

// A tensor in a target's memory and its values on the host, in the order of the storage.
template <class T>
class Operand {
 public:
  Operand() = default;
  Operand(const Context& context, const View<T>& shape, uint64_t seed, double scale)
      : state_(context.state.get()), values_(static_cast<size_t>(shape.pixels() * shape.blocks() * shape.block)) {
    const auto& numbers = normal_numbers();
    std::mt19937_64 random(seed);
    size_t place = random() % numbers.size();
    for (T& value : values_) {
      value = static_cast<float>(scale) * numbers[place];
      place = place + 1 == numbers.size() ? 0 : place + 1;
    }
    clear_padding(shape);
    memory_ = std::make_unique<Scratch<T>>(*context.workspace, static_cast<int64_t>(values_.size()));
    view = shape;
    view.data = memory_->data();
    state_->upload(memory_->data(), values_.data(), bytes());
  }

  size_t bytes() const { return values_.size() * sizeof(T); }
  // The element of the values last uploaded or fetched.
  double at(int64_t n, int64_t h, int64_t w, int64_t c) const {
    return static_cast<float>(values_[static_cast<size_t>(view.offset(n, h, w, c))]);
  }
  std::span<const std::byte> values() const { return std::as_bytes(std::span(values_)); }
  void fetch() { state_->download(values_.data(), memory_->data(), bytes()); }

  View<T> view;

 private:
  void clear_padding(const View<T>& shape) {
    if (shape.c % shape.block == 0) return;
    for (int64_t h = 0; h < shape.h; ++h) {
      for (int64_t w = 0; w < shape.w; ++w) {
        const auto pixel = values_.begin() + shape.offset(0, h, w, shape.c - shape.c % shape.block);
        std::fill(pixel + shape.c % shape.block, pixel + shape.block, T(0.0F));
      }
    }
  }

  kernels::TargetState* state_ = nullptr;
  std::vector<T> values_;
  std::unique_ptr<Scratch<T>> memory_;
};

template <class T>
class TypedLayerCase final : public LayerCase {
 public:
  TypedLayerCase(const Context& context, const Layer& layer, uint64_t seed)
      : layer_(layer),
        x_(image(context, layer.size, layer.c1, seed)),
        x2_(image(context, layer.size + 2 * kSkipMargin, layer.c2, seed + 1)),
        y_(image(context, layer.output_size(), layer.k, seed + 2)),
        dy_(image(context, layer.output_size(), layer.k, seed + 3)),
        dx_(image(context, layer.size, layer.c1, seed + 4)),
        dx2_(image(context, layer.size + 2 * kSkipMargin, layer.c2, seed + 5)),
        w_(filter(context, seed + 6)),
        dw_(filter(context, seed + 7)),
        b_(vector(context, seed + 8)),
        db_(vector(context, seed + 9)) {}

  void run(const Context& context, Pass pass, kernels::FilterCache* cache) override {
    if (pass == Pass::forward) return forward(context, cache);
    const bool data = pass == Pass::backward_data;
    const View<const T> y = layer_.relu && !data ? View<const T>(y_.view) : View<const T>{};
    const auto dx = data ? dx_.view : View<T>{};
    const auto dw = data ? View<float>{} : dw_.view, db = data ? View<float>{} : db_.view;
    if (layer_.kind == LayerKind::convolution) {
      kernels::run(context, kernels::Conv2dBackward<T>{.x = x_.view,
                                                       .x2 = skip(x2_.view),
                                                       .w = w_.view,
                                                       .y = y,
                                                       .dy = dy_.view,
                                                       .dy_wide = {},
                                                       .dx = dx,
                                                       .dx2 = data ? skip(dx2_.view) : View<T>{},
                                                       .dw = dw,
                                                       .db = db,
                                                       .cache = cache});
    } else {
      kernels::run(
          context,
          kernels::ConvTranspose2dBackward<T>{
              .x = x_.view, .w = w_.view, .y = y, .dy = dy_.view, .dx = dx, .dw = dw, .db = db, .cache = cache});
    }
  }

  double error(Pass pass, int samples) override {
    std::mt19937_64 random(17);
    const auto below = [&](int64_t limit) { return static_cast<int64_t>(random() % static_cast<uint64_t>(limit)); };
    double difference = 0, size = 0;
    const auto compare = [&](double actual, double expected) {
      difference += (actual - expected) * (actual - expected);
      size += expected * expected;
    };
    const int64_t out = layer_.output_size();
    if (pass == Pass::forward) {
      y_.fetch();
      for (int i = 0; i < samples; ++i) {
        const int64_t p = below(out), q = below(out), k = below(layer_.k);
        compare(y_.at(0, p, q, k), forward_at(p, q, k));
      }
    } else if (pass == Pass::backward_data) {
      dx_.fetch();
      if (layer_.c2 > 0) dx2_.fetch();
      for (int i = 0; i < samples; ++i) {
        const int64_t h = below(layer_.size), w = below(layer_.size), c = below(layer_.c());
        const double actual =
            c < layer_.c1 ? dx_.at(0, h, w, c) : dx2_.at(0, h + kSkipMargin, w + kSkipMargin, c - layer_.c1);
        compare(actual, backward_data_at(h, w, c));
      }
    } else {
      dw_.fetch();
      for (int i = 0; i < samples; ++i) {
        const int64_t k = below(layer_.k), r = below(layer_.side), s = below(layer_.side), c = below(layer_.c());
        compare(dw_.at(k, r, s, c), backward_filter_at(k, r, s, c));
      }
    }
    return std::sqrt(difference / size);
  }

  std::vector<std::byte> result(Pass pass) override {
    std::vector<std::byte> all;
    const auto append = [&](auto& operand) {
      if (!operand.view) return;
      operand.fetch();
      const auto bytes = operand.values();
      all.insert(all.end(), bytes.begin(), bytes.end());
    };
    if (pass == Pass::forward) append(y_);
    if (pass == Pass::backward_data) append(dx_), append(dx2_);
    if (pass == Pass::backward_filter) append(dw_), append(db_);
    return all;
  }

  int64_t bytes() const override {
    return static_cast<int64_t>(x_.bytes() + x2_.bytes() + y_.bytes() + dy_.bytes() + dx_.bytes() + dx2_.bytes() +
                                w_.bytes() + dw_.bytes() + b_.bytes() + db_.bytes());
  }

 private:
  static constexpr int64_t kSkipMargin = 4;  // px around the crop that the layer reads of a skip connection

  void forward(const Context& context, kernels::FilterCache* cache) {
    if (layer_.kind == LayerKind::convolution) {
      kernels::run(context, kernels::Conv2d<T>{.x = x_.view,
                                               .x2 = skip(x2_.view),
                                               .w = w_.view,
                                               .b = b_.view,
                                               .y = y_.view,
                                               .y_wide = {},
                                               .relu = layer_.relu,
                                               .cache = cache});
    } else {
      kernels::run(context,
                   kernels::ConvTranspose2d<T>{
                       .x = x_.view, .w = w_.view, .b = b_.view, .y = y_.view, .relu = layer_.relu, .cache = cache});
    }
  }

  View<T> skip(const View<T>& image) const {
    return layer_.c2 > 0 ? image.centre_crop(layer_.size, layer_.size) : View<T>{};
  }

  static Operand<T> image(const Context& context, int64_t size, int64_t channels, uint64_t seed) {
    if (channels == 0) return {};
    const bool blocked = preferred_layout(context.target, channels) == Layout::blocked;
    return {
        context,
        blocked ? View<T>::blocked(nullptr, 1, size, size, channels) : View<T>::nhwc(nullptr, 1, size, size, channels),
        seed, 1.0};
  }
  Operand<float> filter(const Context& context, uint64_t seed) const {
    const auto inputs = static_cast<double>(layer_.side * layer_.side * layer_.c());
    return {context, View<float>::nhwc(nullptr, layer_.k, layer_.side, layer_.side, layer_.c()), seed,
            std::sqrt(2 / inputs)};
  }
  Operand<float> vector(const Context& context, uint64_t seed) const {
    return {context, View<float>::nhwc(nullptr, 1, 1, 1, layer_.k), seed, 1.0};
  }

  double input(int64_t h, int64_t w, int64_t c) const {
    return c < layer_.c1 ? x_.at(0, h, w, c) : x2_.at(0, h + kSkipMargin, w + kSkipMargin, c - layer_.c1);
  }
  // Filters are rounded to T before they are used.
  double weight(int64_t k, int64_t r, int64_t s, int64_t c) const {
    return static_cast<float>(T(static_cast<float>(w_.at(k, r, s, c))));
  }

  double forward_at(int64_t p, int64_t q, int64_t k) const {
    double sum = b_.at(0, 0, 0, k);
    for (int64_t c = 0; c < layer_.c(); ++c) {
      if (layer_.kind == LayerKind::up_convolution) {
        sum += weight(k, p % 2, q % 2, c) * input(p / 2, q / 2, c);
        continue;
      }
      for (int64_t r = 0; r < layer_.side; ++r) {
        for (int64_t s = 0; s < layer_.side; ++s) sum += weight(k, r, s, c) * input(p + r, q + s, c);
      }
    }
    return layer_.relu ? std::max(sum, 0.0) : sum;
  }

  double backward_data_at(int64_t h, int64_t w, int64_t c) const {
    const int64_t out = layer_.output_size();
    double sum = 0;
    for (int64_t r = 0; r < layer_.side; ++r) {
      for (int64_t s = 0; s < layer_.side; ++s) {
        const bool is_up = layer_.kind == LayerKind::up_convolution;
        const int64_t p = is_up ? 2 * h + r : h - r, q = is_up ? 2 * w + s : w - s;
        if (p < 0 || q < 0 || p >= out || q >= out) continue;
        for (int64_t k = 0; k < layer_.k; ++k) sum += weight(k, r, s, c) * dy_.at(0, p, q, k);
      }
    }
    return sum;
  }

  double backward_filter_at(int64_t k, int64_t r, int64_t s, int64_t c) const {
    const bool is_up = layer_.kind == LayerKind::up_convolution;
    const int64_t rows = is_up ? layer_.size : layer_.output_size();
    double sum = 0;
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < rows; ++j) {
        const int64_t p = is_up ? 2 * i + r : i, q = is_up ? 2 * j + s : j;
        if (layer_.relu && !(y_.at(0, p, q, k) > 0)) continue;
        sum += dy_.at(0, p, q, k) * (is_up ? input(i, j, c) : input(i + r, j + s, c));
      }
    }
    return sum;
  }

  Layer layer_;
  Operand<T> x_, x2_, y_, dy_, dx_, dx2_;
  Operand<float> w_, dw_, b_, db_;
};

}  // namespace

int64_t least_bytes(const Layer& layer, Pass pass, int64_t bytes) {
  const int64_t in = layer.size * layer.size * layer.c(), out = layer.output_size() * layer.output_size() * layer.k;
  const int64_t filter = layer.k * layer.side * layer.side * layer.c();
  return bytes * (in + out) + filter * (pass == Pass::backward_filter ? 4 : bytes);
}

std::unique_ptr<LayerCase> make_layer_case(const Context& context, const Layer& layer, DType type, uint64_t seed) {
  if (type == DType::bf16) return std::make_unique<TypedLayerCase<bf16>>(context, layer, seed);
  return std::make_unique<TypedLayerCase<float>>(context, layer, seed);
}

}  // namespace unet::benchmarks
