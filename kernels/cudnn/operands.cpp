#include "kernels/cudnn/operands.h"

namespace unet::kernels::cudnn {
namespace {

constexpr float kOne = 1, kZero = 0;

template <class T>
constexpr cudaDataType_t kCudaType = std::is_same_v<T, float> ? CUDA_R_32F : CUDA_R_16BF;

template <class T>
class Ones {
 public:
  Ones(const Context& context, int64_t count) : values_(*context.workspace, count) {
    execute(Cuda{}, context, Fill<T>{.y = View<T>::nhwc(values_.data(), 1, 1, count, 1), .value = T(1.0F)});
  }
  const T* data() const { return values_.data(); }

 private:
  Scratch<T> values_;
};

template <class T>
void cast(const Context& context, const float* from, int64_t count, T* to) {
  execute(Cuda{}, context,
          Cast<float, T>{.x = View<const float>(View<float>::nhwc(const_cast<float*>(from), 1, 1, count, 1)),
                         .y = View<T>::nhwc(to, 1, 1, count, 1)});
}

// What the cache of a parameter holds for this target.
template <class T>
struct CachedFilter final : FilterCache::Entry {
  CachedFilter(Workspace& workspace, int64_t count, bool transposed)
      : values(workspace, count), is_transposed(transposed) {}
  Scratch<T> values;
  bool is_transposed;
};

template <class T>
void pack(const Context& context, const View<const float>& w, bool is_transposed, T* to) {
  if (!is_transposed) return cast(context, w.data, w.size(), to);
  if constexpr (std::is_same_v<T, float>) {
    transpose_filter(context, w.data, w.n, w.h * w.w, w.c, to);
  } else {
    const Scratch<float> transposed(*context.workspace, w.size());
    transpose_filter(context, w.data, w.n, w.h * w.w, w.c, transposed.data());
    cast(context, transposed.data(), w.size(), to);
  }
}

}  // namespace

// cuBLAS counts by columns: tap by tap, from is a matrix of C rows and K columns, to one of K rows and C columns.
void transpose_filter(const Context& context, const float* from, int64_t k, int64_t taps, int64_t c, float* to) {
  for (int64_t tap = 0; tap < taps; ++tap) {
    float* out = to + tap * k;
    require(cublasSgeam_64(state_of(context).cublas(), CUBLAS_OP_T, CUBLAS_OP_N, k, c, &kOne, from + tap * c, taps * c,
                           &kZero, out, taps * k, out, taps * k),
            "transposing a filter");
  }
}

template <class T>
void sum_pixels(const Context& context, const View<const T>& g, float* db) {
  std::unique_ptr<Scratch<T>> copy;
  View<const T> dense = g;
  if (g.stride_h != g.w * g.stride_w || (g.n > 1 && g.stride_n != g.h * g.stride_h)) {
    copy = std::make_unique<Scratch<T>>(*context.workspace, g.size());
    const auto packed = View<T>::nhwc(copy->data(), g.n, g.h, g.w, g.c);
    execute(Cuda{}, context, Cast<T, T>{.x = g, .y = packed});
    dense = packed;
  }
  const Ones<T> ones(context, g.pixels());
  require(cublasGemmEx_64(state_of(context).cublas(), CUBLAS_OP_N, CUBLAS_OP_N, g.c, 1, g.pixels(), &kOne, dense.data,
                          kCudaType<T>, dense.stride_w, ones.data(), kCudaType<T>, g.pixels(), &kZero, db, CUDA_R_32F,
                          g.c, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
          "summing a bias gradient");
}

template <class T>
void add_bias(const Context& context, const T* b, const View<T>& y) {
  const Ones<T> ones(context, y.w);
  for (int64_t n = 0; n < y.n; ++n) {
    require(cublasGemmStridedBatchedEx_64(state_of(context).cublas(), CUBLAS_OP_N, CUBLAS_OP_N, y.c, y.w, 1, &kOne, b,
                                          kCudaType<T>, y.c, 0, ones.data(), kCudaType<T>, 1, 0, &kOne,
                                          y.data + n * y.stride_n, kCudaType<T>, y.stride_w, y.stride_h, y.h,
                                          CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
            "adding a bias");
  }
}

template <class T>
Filter<T>::Filter(const Context& context, const View<const float>& w, bool is_transposed, FilterCache* cache) {
  if constexpr (std::is_same_v<T, float>) {
    if (!is_transposed && is_aligned(w.data)) {
      data_ = w.data;
      return;
    }
  }
  if (cache == nullptr) {
    scratch_ = std::make_unique<Scratch<T>>(*context.workspace, w.size());
    pack(context, w, is_transposed, scratch_->data());
    data_ = scratch_->data();
    return;
  }
  auto cached = std::dynamic_pointer_cast<CachedFilter<T>>(cache->entry());
  if (!cached || cached->is_transposed != is_transposed) {
    cached = std::make_shared<CachedFilter<T>>(*context.workspace, w.size(), is_transposed);
    pack(context, w, is_transposed, cached->values.data());
    cache->entry() = cached;
  }
  data_ = cached->values.data();
}

template <class T>
Bias<T>::Bias(const Context& context, const View<const float>& b) : context_(context), size_(b.size()), f32_(b.data) {
  if (is_aligned(b.data)) return;
  copy_ = std::make_unique<Scratch<float>>(*context.workspace, size_);
  cast(context, b.data, size_, copy_->data());
  f32_ = copy_->data();
}

template <class T>
const T* Bias<T>::as_image() {
  if constexpr (std::is_same_v<T, float>) {
    return f32_;
  } else {
    if (!rounded_) rounded_ = std::make_unique<Scratch<T>>(*context_.workspace, size_);
    cast(context_, f32_, size_, rounded_->data());
    return rounded_->data();
  }
}

template <class T>
void compute(const Context& context, const Problem& problem, std::map<Operand, const void*> operands, Bias<T>* bias,
             const View<T>& result) {
  State& state = state_of(context);
  const auto run = [&](const Plan& plan, const Problem& variant) {
    if (variant.bias) {
      operands[Operand::b] = variant.bias_type == DType::f32 ? bias->f32() : static_cast<const void*>(bias->as_image());
    } else {
      operands.erase(Operand::b);
    }
    const Scratch<std::byte> workspace(*context.workspace, static_cast<int64_t>(plan.workspace_bytes()));
    plan.execute(state.cudnn(), operands, workspace.data());
    if (problem.bias && !variant.bias) add_bias(context, bias->as_image(), result);
    if (problem.relu && !variant.relu) execute(Cuda{}, context, Relu<T>{.x = result, .y = result});
  };
  const Choice& choice = state.choose(problem, run);
  run(*choice.plan, choice.variant);
}

#define UNET_INSTANTIATE(T)                                               \
  template class Filter<T>;                                               \
  template class Bias<T>;                                                 \
  template void sum_pixels(const Context&, const View<const T>&, float*); \
  template void add_bias(const Context&, const T*, const View<T>&);       \
  template void compute(const Context&, const Problem&, std::map<Operand, const void*>, Bias<T>*, const View<T>&);
UNET_INSTANTIATE(float)
UNET_INSTANTIATE(bf16)
#undef UNET_INSTANTIATE

}  // namespace unet::kernels::cudnn
