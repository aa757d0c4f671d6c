#include "kernels/cpu/target.h"

#include <omp.h>

#include <dnnl.hpp>
#include <unordered_map>
#include <vector>

namespace unet::kernels::cpu {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

// Threads of the parallel regions that this thread opens, oneDNN's included, until the end of the scope.
class OpenMpThreads {
 public:
  explicit OpenMpThreads(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~OpenMpThreads() { omp_set_num_threads(before_); }
  OpenMpThreads(const OpenMpThreads&) = delete;
  OpenMpThreads& operator=(const OpenMpThreads&) = delete;

 private:
  int before_;
};

memory::data_type onednn_type(DType type) {
  return type == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

// Runs `body`; what oneDNN throws becomes our own error.
template <class Body>
auto guarded(const char* doing, const ConvolutionProblem& p, Body body) {
  try {
    return body();
  } catch (const dnnl::error& error) {
    const std::string text = concat("oneDNN: ", doing, " a convolution of [", p.n, ",", p.h, ",", p.w, ",", p.c,
                                    "] with filters [", p.k, ",", p.r, ",", p.s, ",", p.c, "]: ", error.message);
    if (error.status == dnnl_out_of_memory) throw OutOfMemory(text, 0, 0);
    throw DeviceError(text);
  }
}

// The parts of a primitive descriptor that every pass has.
struct Parts {
  dnnl::primitive primitive;
  memory::desc x, filter, bias, y, scratch;
};

Parts compile(const dnnl::engine& engine, const ConvolutionProblem& p) {
  const memory::data_type type = onednn_type(p.type);
  const memory::desc x({p.n, p.c, p.h, p.w}, type, p.planar ? Tag::nchw : Tag::nChw16c);
  const memory::desc y({p.n, p.k, p.h - p.r + 1, p.w - p.s + 1}, onednn_type(p.y_type), Tag::nChw16c);
  const memory::desc filter({p.k, p.c, p.r, p.s}, type, Tag::any);
  const memory::desc bias = p.bias ? memory::desc({p.k}, memory::data_type::f32, Tag::x) : memory::desc();
  constexpr auto algorithm = dnnl::algorithm::convolution_direct;
  const memory::dims ones{1, 1};
  const memory::dims zeros{0, 0};
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);

  using Forward = dnnl::convolution_forward;
  const auto kind =
      p.bias ? Forward::desc(dnnl::prop_kind::forward_training, algorithm, x, filter, bias, y, ones, zeros, zeros)
             : Forward::desc(dnnl::prop_kind::forward_training, algorithm, x, filter, y, ones, zeros, zeros);
  if (p.pass == ConvolutionPass::forward) {
    if (p.relu) {
      dnnl::post_ops relu;
      relu.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
      attributes.set_post_ops(relu);
    }
    const Forward::primitive_desc d(kind, attributes, engine);
    return {Forward(d), x, d.weights_desc(), bias, y, d.scratchpad_desc()};
  }
  const Forward::primitive_desc hint(kind, engine);
  if (p.pass == ConvolutionPass::backward_data) {
    using Data = dnnl::convolution_backward_data;
    const Data::primitive_desc d({algorithm, x, filter, y, ones, zeros, zeros}, attributes, engine, hint);
    return {Data(d), x, d.weights_desc(), bias, y, d.scratchpad_desc()};
  }
  using Filter = dnnl::convolution_backward_weights;
  const memory::desc gradient({p.k, p.c, p.r, p.s}, memory::data_type::f32, Tag::any);
  const Filter::primitive_desc d({algorithm, x, gradient, y, ones, zeros, zeros}, attributes, engine, hint);
  return {Filter(d), x, d.diff_weights_desc(), bias, y, d.scratchpad_desc()};
}

class OnednnConvolution final : public CompiledConvolution {
 public:
  OnednnConvolution(const dnnl::engine& engine, const dnnl::stream& stream, const ConvolutionProblem& problem,
                    Parts parts, int filter_format)
      : engine_(engine), stream_(stream), problem_(problem), parts_(std::move(parts)), filter_format_(filter_format) {
    const auto& p = problem_;
    const int64_t c = p.filter_stride;
    master_ = memory::desc({p.k, p.c, p.r, p.s}, memory::data_type::f32, memory::dims{p.r * p.s * c, 1, p.s * c, c});
    const bool gradient = p.pass == ConvolutionPass::backward_filter;
    reorder_ = gradient ? dnnl::reorder({engine_, parts_.filter, engine_, master_})
                        : dnnl::reorder({engine_, master_, engine_, parts_.filter});
  }

  int filter_format() const override { return filter_format_; }
  size_t filter_bytes() const override { return parts_.filter.get_size(); }
  size_t scratch_bytes() const override { return parts_.scratch.get_size(); }

  void pack(const float* w, void* packed) const override {
    reorder(memory(master_, engine_, const_cast<float*>(w)), memory(parts_.filter, engine_, packed));
  }
  void unpack(const void* packed, float* dw) const override {
    reorder(memory(parts_.filter, engine_, const_cast<void*>(packed)), memory(master_, engine_, dw));
  }

  void execute(const Operands& o) const override {
    guarded("running", problem_, [&] {
      const OpenMpThreads threads(problem_.threads);
      const memory x(parts_.x, engine_, o.x);
      const memory y(parts_.y, engine_, o.y);
      const memory filter(parts_.filter, engine_, o.filter);
      std::unordered_map<int, memory> arguments{{DNNL_ARG_SCRATCHPAD, memory(parts_.scratch, engine_, o.scratch)}};
      switch (problem_.pass) {
        case ConvolutionPass::forward:
          arguments.insert({{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, filter}, {DNNL_ARG_DST, y}});
          if (problem_.bias) arguments.insert({DNNL_ARG_BIAS, memory(parts_.bias, engine_, o.bias)});
          break;
        case ConvolutionPass::backward_data:
          arguments.insert({{DNNL_ARG_DIFF_DST, y}, {DNNL_ARG_WEIGHTS, filter}, {DNNL_ARG_DIFF_SRC, x}});
          break;
        case ConvolutionPass::backward_filter:
          arguments.insert({{DNNL_ARG_SRC, x}, {DNNL_ARG_DIFF_DST, y}, {DNNL_ARG_DIFF_WEIGHTS, filter}});
          break;
      }
      parts_.primitive.execute(stream_, arguments);
      stream_.wait();
    });
  }

 private:
  void reorder(const memory& from, const memory& to) const {
    guarded("packing the filter of", problem_, [&] {
      const OpenMpThreads threads(problem_.threads);
      reorder_.execute(stream_, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
      stream_.wait();
    });
  }

  dnnl::engine engine_;
  mutable dnnl::stream stream_;
  ConvolutionProblem problem_;
  Parts parts_;
  int filter_format_;
  memory::desc master_;
  dnnl::reorder reorder_;
};

// A process that meets ever new image sizes must not keep all their code.
constexpr size_t kMaxCompiled = 1024;

}  // namespace

struct State::Onednn {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::vector<memory::desc> filter_formats;  // position = CompiledConvolution::filter_format

  int filter_format(const memory::desc& desc) {
    for (size_t i = 0; i < filter_formats.size(); ++i) {
      if (filter_formats[i] == desc) return static_cast<int>(i);
    }
    filter_formats.push_back(desc);
    return static_cast<int>(filter_formats.size()) - 1;
  }
};

State::State() : onednn_(std::make_unique<Onednn>()) {}
State::~State() = default;

std::shared_ptr<const CompiledConvolution> State::convolution(const ConvolutionProblem& problem) {
  const std::lock_guard lock(mutex_);
  if (const auto known = compiled_.find(problem); known != compiled_.end()) return known->second;
  auto compiled = guarded("compiling", problem, [&] {
    const OpenMpThreads threads(problem.threads);
    Parts parts = compile(onednn_->engine, problem);
    const int format = onednn_->filter_format(parts.filter);
    return std::make_shared<OnednnConvolution>(onednn_->engine, onednn_->stream, problem, std::move(parts), format);
  });
  if (compiled_.size() == kMaxCompiled) compiled_.clear();
  return compiled_[problem] = std::move(compiled);
}

std::shared_ptr<TargetState> make_state() { return std::make_shared<State>(); }

void execute(const Context& context, const CompiledConvolution& convolution, CompiledConvolution::Operands operands) {
  const Scratch<std::byte> scratch(*context.workspace, static_cast<int64_t>(convolution.scratch_bytes()));
  operands.scratch = scratch.data();
  convolution.execute(operands);
}

State& state_of(const Context& context) {
  auto* state = dynamic_cast<State*>(context.state.get());
  if (state == nullptr) {
    throw ConfigError("cpu target: expected a context with make_target_state(Target::cpu), got another or none");
  }
  return *state;
}

}  // namespace unet::kernels::cpu
