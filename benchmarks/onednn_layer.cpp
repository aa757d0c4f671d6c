#include "benchmarks/onednn_layer.h"

#include <dnnl.hpp>
#include <memory>
#include <unordered_map>

#include "kernels/error.h"

namespace unet::benchmarks {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Arguments = std::unordered_map<int, memory>;

// The oneDNN classes of the two kinds of layer.
struct Convolution {
  using Forward = dnnl::convolution_forward;
  using Data = dnnl::convolution_backward_data;
  using Filter = dnnl::convolution_backward_weights;
  static constexpr auto kAlgorithm = dnnl::algorithm::convolution_auto;
};
struct Deconvolution {
  using Forward = dnnl::deconvolution_forward;
  using Data = dnnl::deconvolution_backward_data;
  using Filter = dnnl::deconvolution_backward_weights;
  static constexpr auto kAlgorithm = dnnl::algorithm::deconvolution_direct;
};

memory filled(const memory::desc& desc, const dnnl::engine& engine) {
  memory m(desc, engine);
  auto* words = static_cast<uint16_t*>(m.get_data_handle());
  // The bf16 0.25, or the float of two of them: ordinary numbers in either type.
  for (size_t i = 0; i < desc.get_size() / sizeof(uint16_t); ++i) words[i] = 0x3e80;
  return m;
}

template <class Kind>
Passes passes_of(const Layer& layer, DType dtype) {
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  const dnnl::stream stream(engine);
  const auto type = dtype == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
  const auto f32 = memory::data_type::f32;
  const int64_t size = layer.size, out = layer.output_size(), step = layer.kind == LayerKind::convolution ? 1 : 2;
  const memory::desc x({1, layer.c(), size, size}, type, Tag::nhwc);
  const memory::desc y({1, layer.k, out, out}, type, Tag::nhwc);
  const memory::desc w({layer.k, layer.c(), layer.side, layer.side}, type, Tag::any);
  const memory::desc dw({layer.k, layer.c(), layer.side, layer.side}, f32, Tag::any);
  const memory::desc b({layer.k}, f32, Tag::x);
  const memory::dims strides{step, step};
  const memory::dims padding{0, 0};

  using Forward = typename Kind::Forward;
  dnnl::primitive_attr fused;
  if (layer.relu) {
    dnnl::post_ops relu;
    relu.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
    fused.set_post_ops(relu);
  }
  const typename Forward::desc forward_desc(dnnl::prop_kind::forward_training, Kind::kAlgorithm, x, w, b, y, strides,
                                            padding, padding);
  const typename Forward::primitive_desc forward(forward_desc, fused, engine);
  const typename Forward::primitive_desc hint(forward_desc, engine);
  const typename Kind::Data::primitive_desc data({Kind::kAlgorithm, x, w, y, strides, padding, padding}, engine, hint);
  const typename Kind::Filter::primitive_desc filter({Kind::kAlgorithm, x, dw, b, y, strides, padding, padding}, engine,
                                                     hint);
  const memory mx = filled(x, engine), my = filled(y, engine), mdy = filled(y, engine), mb = filled(b, engine);

  Passes passes;
  const auto runs = [stream](const dnnl::primitive& primitive, const Arguments& arguments) {
    return [=] {
      primitive.execute(stream, arguments);
      dnnl::stream(stream).wait();
    };
  };
  passes.forward = runs(Forward(forward), {{DNNL_ARG_SRC, mx},
                                           {DNNL_ARG_WEIGHTS, filled(forward.weights_desc(), engine)},
                                           {DNNL_ARG_BIAS, mb},
                                           {DNNL_ARG_DST, my}});
  passes.backward_data = runs(typename Kind::Data(data), {{DNNL_ARG_DIFF_DST, mdy},
                                                          {DNNL_ARG_WEIGHTS, filled(data.weights_desc(), engine)},
                                                          {DNNL_ARG_DIFF_SRC, filled(x, engine)}});
  const auto gradient =
      runs(typename Kind::Filter(filter), {{DNNL_ARG_SRC, mx},
                                           {DNNL_ARG_DIFF_DST, mdy},
                                           {DNNL_ARG_DIFF_WEIGHTS, filled(filter.diff_weights_desc(), engine)},
                                           {DNNL_ARG_DIFF_BIAS, filled(b, engine)}});
  passes.backward_filter = gradient;
  if (layer.relu) {
    const auto relu = dnnl::algorithm::eltwise_relu_use_dst_for_bwd;
    const dnnl::eltwise_forward::primitive_desc relu_hint({dnnl::prop_kind::forward_training, relu, y, 0, 0}, engine);
    const dnnl::eltwise_backward::primitive_desc mask({relu, y, y, 0, 0}, engine, relu_hint);
    const auto masked =
        runs(dnnl::eltwise_backward(mask), {{DNNL_ARG_DST, my}, {DNNL_ARG_DIFF_DST, mdy}, {DNNL_ARG_DIFF_SRC, mdy}});
    passes.backward_filter = [=] {
      masked();
      gradient();
    };
  }
  return passes;
}

}  // namespace

Passes onednn_passes(const Layer& layer, DType type) {
  try {
    return layer.kind == LayerKind::convolution ? passes_of<Convolution>(layer, type)
                                                : passes_of<Deconvolution>(layer, type);
  } catch (const dnnl::error& error) {
    throw DeviceError(concat("oneDNN: ", layer.name, ": ", error.message));
  }
}

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return concat(version->major, ".", version->minor, ".", version->patch);
}

}  // namespace unet::benchmarks
