// Operands in the form in which cuDNN takes them, and the small steps between its plans.
#pragma once

#include "kernels/cast.h"
#include "kernels/crop_concat.h"
#include "kernels/cudnn/state.h"
#include "kernels/fill.h"
#include "kernels/relu.h"

namespace unet::kernels::cudnn {

/// Throws TypeError unless the view is absent or channels last.
template <class T>
void require_nhwc(const char* op, const char* name, const View<T>& v) {
  if (v && !v.is_nhwc()) {
    throw TypeError(
        concat(op, ": ", name, ": expected channels last on target cudnn, got blocks; see preferred_layout()"));
  }
}

inline bool is_aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

/// to[c,tap,k] = from[k,tap,c] for f32 filters, by cuBLAS.
void transpose_filter(const Context& context, const float* from, int64_t k, int64_t taps, int64_t c, float* to);

/// db[k] = sum over all pixels of g[.,.,.,k]: a matrix product with ones.
template <class T>
void sum_pixels(const Context& context, const View<const T>& g, float* db);

/// y += b: a product of rank one for each row of the image.
template <class T>
void add_bias(const Context& context, const T* b, const View<T>& y);

/// A filter of f32 as values of T, aligned to 16 bytes; transposed to [C,R,S,K] for an up-convolution. Found in the
/// cache, or made there or in scratch memory.
template <class T>
class Filter {
 public:
  Filter(const Context& context, const View<const float>& w, bool is_transposed, FilterCache* cache);
  const T* data() const { return data_; }

 private:
  std::unique_ptr<Scratch<T>> scratch_;
  const T* data_ = nullptr;
};

/// A bias in f32, aligned to 16 bytes, and as values of T for plans that want it so.
template <class T>
class Bias {
 public:
  Bias(const Context& context, const View<const float>& b);
  const float* f32() const { return f32_; }
  /// Rounded to T, anew in each call: part of what such a plan costs.
  const T* as_image();

 private:
  const Context& context_;
  int64_t size_;
  const float* f32_;
  std::unique_ptr<Scratch<float>> copy_;
  std::unique_ptr<Scratch<T>> rounded_;
};

/// cat(x, x2): x itself where there is no x2.
template <class T>
class Concatenated {
 public:
  Concatenated(const Context& context, const View<const T>& x, const View<const T>& x2) : view_(x) {
    if (!x2) return;
    memory_ = std::make_unique<Scratch<T>>(*context.workspace, x.pixels() * (x.c + x2.c));
    const auto both = View<T>::nhwc(memory_->data(), x.n, x.h, x.w, x.c + x2.c);
    execute(Cuda{}, context, CropConcat<T>{.x = x, .x2 = x2, .y = both});
    view_ = both;
  }
  const View<const T>& view() const { return view_; }

 private:
  std::unique_ptr<Scratch<T>> memory_;
  View<const T> view_;
};

/// Executes a problem whose result is `result`: the chosen plan and, where the plan leaves them out, bias and ReLU.
template <class T>
void compute(const Context& context, const Problem& problem, std::map<Operand, const void*> operands, Bias<T>* bias,
             const View<T>& result);

}  // namespace unet::kernels::cudnn
