// The checker of the emulated target finds every planted defect, calls it by its name, and finds none where there is
// none.
#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "kernels/emulated/state.h"
#include "tests/catch.h"
#include "tests/emulated/mutants/mutants.h"

namespace unet::kernels::gpu::mutants {
namespace {

constexpr std::array kFamilies{elementwise, reduction, warp_exchange, convolution, hopper, split_k, pooling};

struct Outcome {
  std::vector<emulated::Finding> findings;
  bool is_right = false;
};

Outcome run(const Mutant& mutant, const emulated::Schedule& schedule) {
  const auto state = std::make_shared<emulated::State>();
  state->set_schedule(schedule);
  state->set_capability(90);
  Context context;
  context.target = Target::emulated;
  context.state = state;
  try {
    return {.findings = {}, .is_right = mutant.run(context)};
  } catch (const emulated::KernelDefect& defect) {
    return {.findings = defect.findings()};
  }
}

std::string text_of(const std::vector<emulated::Finding>& findings) {
  std::string text;
  for (const emulated::Finding& finding : findings) text += finding.text + "\n";
  return text;
}

std::vector<Mutant> all_mutants() {
  std::vector<Mutant> mutants;
  for (const auto family : kFamilies) {
    for (Mutant& mutant : family()) mutants.push_back(std::move(mutant));
  }
  return mutants;
}

TEST_CASE("correct kernels have no findings under any schedule", "[mutants]") {
  for (const Mutant& mutant : all_mutants()) {
    if (!mutant.expected.empty()) continue;
    for (const emulated::Schedule& schedule : emulated::kSchedules) {
      const Outcome outcome = run(mutant, schedule);
      INFO(mutant.name << ", " << schedule.name() << "\n" << text_of(outcome.findings));
      CHECK(outcome.findings.empty());
      CHECK(outcome.is_right);
    }
  }
}

TEST_CASE("every planted defect is found under every schedule, and called by its name", "[mutants]") {
  for (const Mutant& mutant : all_mutants()) {
    if (mutant.expected.empty()) continue;
    for (const emulated::Schedule& schedule : emulated::kSchedules) {
      const Outcome outcome = run(mutant, schedule);
      INFO(mutant.name << ", " << schedule.name() << "\n" << text_of(outcome.findings));
      const auto count_of = [](const std::vector<Defect>& defects, const emulated::Finding& finding) {
        return std::count(defects.begin(), defects.end(), finding.defect);
      };
      const bool is_found = std::any_of(outcome.findings.begin(), outcome.findings.end(),
                                        [&](const auto& finding) { return count_of(mutant.expected, finding) == 1; });
      CHECK(is_found);
      for (const emulated::Finding& finding : outcome.findings) {
        CHECK(count_of(mutant.expected, finding) + count_of(mutant.also, finding) == 1);
        CHECK(finding.text.find(".cu:") != std::string::npos);  // a line of the kernel
        CHECK(finding.text.find(emulated::name_of(finding.defect)) != std::string::npos);
        CHECK(finding.count >= 1);
      }
    }
  }
}

TEST_CASE("there is a planted defect of every kind", "[mutants]") {
  std::set<Defect> planted;
  size_t mutants = 0;
  for (const Mutant& mutant : all_mutants()) {
    planted.insert(mutant.expected.begin(), mutant.expected.end());
    mutants += mutant.expected.empty() ? 0 : 1;
  }
  for (int defect = 0; defect < emulated::kDefects; ++defect) {
    INFO(emulated::name_of(static_cast<Defect>(defect)));
    CHECK(planted.count(static_cast<Defect>(defect)) == 1);
  }
  CHECK(mutants >= 40);
}

}  // namespace
}  // namespace unet::kernels::gpu::mutants
