#include "benchmarks/gpu/recorded_work.h"

#include <cuda.h>
#include <cxxabi.h>

#include <cstdlib>
#include <memory>

#include "kernels/cuda/state.h"

namespace unet::benchmarks {
namespace {

using kernels::cuda::require;

// A function of the driver, which a program that only links the runtime asks for by name.
template <class Function>
Function* driver_function(const char* name) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  require(cudaGetDriverEntryPointByVersion(name, &function, 12030, cudaEnableDefault, &found), name);
  return found == cudaDriverEntryPointSuccess ? reinterpret_cast<Function*>(function) : nullptr;
}

std::string demangled(const char* name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
  return status == 0 ? text.get() : name;
}

// Kernels of libraries are known to the driver alone, as functions or, since CUDA 12, as kernels without a context.
std::string kernel_name(cudaGraphNode_t node) {
  static const auto parameters_of = driver_function<decltype(cuGraphKernelNodeGetParams)>("cuGraphKernelNodeGetParams");
  static const auto function_name = driver_function<decltype(cuFuncGetName)>("cuFuncGetName");
  static const auto library_name = driver_function<decltype(cuKernelGetName)>("cuKernelGetName");
  CUDA_KERNEL_NODE_PARAMS parameters{};
  const char* name = nullptr;
  if (parameters_of == nullptr || parameters_of(node, &parameters) != CUDA_SUCCESS) return "unknown";
  if (parameters.func != nullptr && function_name != nullptr) {
    if (function_name(&name, parameters.func) != CUDA_SUCCESS) name = nullptr;
  } else if (parameters.kern != nullptr && library_name != nullptr) {
    if (library_name(&name, parameters.kern) != CUDA_SUCCESS) name = nullptr;
  }
  return name == nullptr ? "unknown" : demangled(name);
}

std::vector<std::string> kernel_names(cudaGraph_t graph) {
  size_t count = 0;
  require(cudaGraphGetNodes(graph, nullptr, &count), "the nodes of a graph");
  std::vector<cudaGraphNode_t> nodes(count);
  require(cudaGraphGetNodes(graph, nodes.data(), &count), "the nodes of a graph");
  std::vector<std::string> names;
  for (const cudaGraphNode_t node : nodes) {
    cudaGraphNodeType type{};
    require(cudaGraphNodeGetType(node, &type), "a node of a graph");
    if (type == cudaGraphNodeTypeKernel) names.push_back(kernel_name(node));
  }
  return names;
}

}  // namespace

RecordedWork::RecordedWork(cudaStream_t stream, int launches, const std::function<void(int)>& work)
    : stream_(stream), launches_(launches) {
  require(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capturing");
  cudaGraph_t graph = nullptr;
  try {
    for (int i = 0; i < launches; ++i) work(i);
  } catch (...) {
    cudaStreamEndCapture(stream, &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    throw;
  }
  require(cudaStreamEndCapture(stream, &graph), "capturing");
  try {
    kernels_ = kernel_names(graph);
    require(cudaGraphInstantiate(&executable_, graph, 0), "instantiating a graph");
    require(cudaEventCreate(&start_), "an event");
    require(cudaEventCreate(&stop_), "an event");
  } catch (...) {
    cudaGraphDestroy(graph);
    throw;
  }
  cudaGraphDestroy(graph);
}

RecordedWork::~RecordedWork() {
  cudaStreamSynchronize(stream_);
  cudaEventDestroy(stop_);
  cudaEventDestroy(start_);
  cudaGraphExecDestroy(executable_);
}

void RecordedWork::replay() const { require(cudaGraphLaunch(executable_, stream_), "launching a graph"); }

double RecordedWork::time_us() const {
  require(cudaEventRecord(start_, stream_), "an event");
  replay();
  require(cudaEventRecord(stop_, stream_), "an event");
  require(cudaEventSynchronize(stop_), "executing a graph");
  float ms = 0;
  require(cudaEventElapsedTime(&ms, start_, stop_), "an event");
  return 1000.0 * ms / launches_;
}

double event_ms(cudaStream_t stream, const std::function<void()>& run) {
  cudaEvent_t start = nullptr, stop = nullptr;
  require(cudaEventCreate(&start), "an event");
  require(cudaEventCreate(&stop), "an event");
  require(cudaEventRecord(start, stream), "an event");
  run();
  require(cudaEventRecord(stop, stream), "an event");
  require(cudaEventSynchronize(stop), "timed work");
  float ms = 0;
  require(cudaEventElapsedTime(&ms, start, stop), "an event");
  cudaEventDestroy(start);
  cudaEventDestroy(stop);
  return ms;
}

}  // namespace unet::benchmarks
