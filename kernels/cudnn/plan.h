// Plans: the ways in which cuDNN can execute a graph on a device.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "kernels/cudnn/graph.h"

namespace unet::kernels::cudnn {

/// Which plans are taken.
struct PlanOptions {
  bool deterministic = true;  // none whose results differ from run to run
  size_t workspace_limit_bytes = size_t{1} << 30;
  int max_plans = 0;  // at most so many, in the heuristics' order; 0: all
};

/// One way to execute a problem. Its descriptors refer to those of its graph.
class Plan {
 public:
  Plan(std::shared_ptr<const Graph> graph, Descriptor plan, std::string name, size_t workspace_bytes)
      : graph_(std::move(graph)), plan_(std::move(plan)), name_(std::move(name)), workspace_bytes_(workspace_bytes) {}

  /// "engine 38 knobs 2=17 13=64": what cuDNN calls it.
  const std::string& name() const { return name_; }
  size_t workspace_bytes() const { return workspace_bytes_; }

  /// Starts it in the handle's stream. Addresses of all operands of the problem. Throws DeviceError.
  void execute(cudnnHandle_t handle, const std::map<Operand, const void*>& operands, void* workspace) const;

 private:
  std::shared_ptr<const Graph> graph_;
  Descriptor plan_;
  std::string name_;
  size_t workspace_bytes_;
};

/// Makes plans for one device.
class Planner {
 public:
  /// For the device of the handle, which must outlive the planner.
  explicit Planner(cudnnHandle_t handle) : handle_(handle) {}
  /// For a device described in cuDNN's JSON form, which need not be there. Needs cuDNN 9.8.
  explicit Planner(std::string_view device_properties_json);

  /// The supported plans in the order of heuristics A, B and FALLBACK, without repetitions; none where cuDNN cannot
  /// execute the problem within the options. Throws DeviceError.
  std::vector<Plan> plans(const Problem& problem, const PlanOptions& options) const;

 private:
  std::vector<Descriptor> engine_configurations(const Graph& graph, cudnnBackendHeurMode_t mode) const;

  cudnnHandle_t handle_ = nullptr;
  std::unique_ptr<const Descriptor> properties_;
};

}  // namespace unet::kernels::cudnn
