#include "kernels/cudnn/plan.h"

#include <algorithm>
#include <set>

namespace unet::kernels::cudnn {
namespace {

Descriptor engine_of(const Descriptor& configuration) {
  auto engines = configuration.get_descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  if (engines.size() != 1) throw DeviceError("cudnn: expected one engine in a configuration");
  return std::move(engines.front());
}

// Source: cuDNN documentation, cudnnBackendNumericalNote_t.
bool is_excluded(const Descriptor& engine, const Problem& problem, const PlanOptions& options) {
  const auto notes =
      engine.get_all<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  const bool is_strict_f32 = problem.filter_type == DType::f32 && !problem.tf32;
  return std::any_of(notes.begin(), notes.end(), [&](cudnnBackendNumericalNote_t note) {
    switch (note) {
      case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
        return options.deterministic;
      case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
        return is_strict_f32;
      case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
      case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
        return true;  // sums are f32 or wider
      default:
        return false;
    }
  });
}

std::string name_of_configuration(const Descriptor& configuration, const Descriptor& engine) {
  std::string name = concat("engine ", engine.get<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX));
  const auto choices =
      configuration.get_descriptors(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
  if (!choices.empty()) name += " knobs";
  for (const Descriptor& choice : choices) {
    name += concat(" ", static_cast<int>(choice.get<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE)), "=",
                   choice.get<int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
  }
  return name;
}

}  // namespace

void Plan::execute(cudnnHandle_t handle, const std::map<Operand, const void*>& operands, void* workspace) const {
  std::vector<int64_t> uids;
  std::vector<void*> addresses;
  for (const auto& [operand, address] : operands) {
    uids.push_back(static_cast<int64_t>(operand));
    addresses.push_back(const_cast<void*>(address));
  }
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, std::span<const int64_t>(uids))
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, std::span<void* const>(addresses))
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace);
  pack.finalize("a plan's operands");
  require(cudnnBackendExecute(handle, plan_.raw(), pack.raw()), name_.c_str());
}

Planner::Planner(std::string_view device_properties_json) {
  auto properties = std::make_unique<Descriptor>(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  properties->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, std::span<const char>(device_properties_json));
  properties->finalize("the description of a device");
  properties_ = std::move(properties);
}

std::vector<Descriptor> Planner::engine_configurations(const Graph& graph, cudnnBackendHeurMode_t mode) const {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph.operations).set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
  if (properties_) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *properties_);
  if (!heuristics.try_finalize("heuristics")) return {};
  return heuristics.get_descriptors(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
}

std::vector<Plan> Planner::plans(const Problem& problem, const PlanOptions& options) const {
  const auto graph = std::make_shared<const Graph>(build_graph(problem, handle_));
  std::vector<Plan> plans;
  std::set<std::string> seen;
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK}) {
    for (const Descriptor& configuration : engine_configurations(*graph, mode)) {
      const Descriptor engine = engine_of(configuration);
      std::string name = name_of_configuration(configuration, engine);
      if (!seen.insert(name).second || is_excluded(engine, problem, options)) continue;
      Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
      if (properties_) plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *properties_);
      if (handle_ != nullptr) plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, handle_);
      if (!plan.try_finalize("a plan")) continue;
      const auto bytes = static_cast<size_t>(plan.get<int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
      if (bytes > options.workspace_limit_bytes) continue;
      plans.emplace_back(graph, std::move(plan), std::move(name), bytes);
      if (options.max_plans > 0 && static_cast<int>(plans.size()) == options.max_plans) return plans;
    }
  }
  return plans;
}

}  // namespace unet::kernels::cudnn
