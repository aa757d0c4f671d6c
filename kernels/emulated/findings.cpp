// What the checker says: one finding per defect and line, with both parties.
#include <backtrace.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "kernels/emulated/checker_access.h"

namespace unet::kernels::emulated {
namespace {

std::string_view file_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

/// Lines of the functions that are in line at a code address, innermost first, of kernel sources if there are any.
struct Frames {
  std::string kernel, any;

  static int add(void* frames, uintptr_t /*code*/, const char* file, int line, const char* /*function*/) {
    if (file == nullptr) return 0;
    const std::string_view name = file_name(file);
    std::string& chain = name.ends_with(".cu") || name.ends_with(".cuh") ? static_cast<Frames*>(frames)->kernel
                                                                         : static_cast<Frames*>(frames)->any;
    chain += concat(chain.empty() ? "" : " < ", name, ":", line);
    return 0;
  }
};

void ignore_error(void* /*data*/, const char* /*message*/, int /*number*/) {}

/// Of the call that returns to `place`.
Frames frames_of(uint32_t place) {
  static backtrace_state* const state = backtrace_create_state(nullptr, /*threaded=*/1, ignore_error, nullptr);
  Frames frames;
  const auto code = reinterpret_cast<uintptr_t>(&__executable_start + place - 1);
  if (state != nullptr) backtrace_pcinfo(state, code, Frames::add, ignore_error, &frames);
  return frames;
}

std::string summary(const std::vector<Finding>& findings) {
  std::string text = concat("emulated: the kernel has ", findings.size(), " defects");
  for (const Finding& finding : findings) text += concat("\n  ", finding.text, " (", finding.count, " times)");
  return text;
}

}  // namespace

const char* name_of(Defect defect) {
  switch (defect) {
    case Defect::shared_race:
      return "shared_race";
    case Defect::global_race:
      return "global_race";
    case Defect::unfinished_copy:
      return "unfinished_copy";
    case Defect::operand_in_use:
      return "operand_in_use";
    case Defect::accumulator_in_use:
      return "accumulator_in_use";
    case Defect::missing_wgmma_fence:
      return "missing_wgmma_fence";
    case Defect::missing_proxy_fence:
      return "missing_proxy_fence";
    case Defect::uninitialised_shared:
      return "uninitialised_shared";
    case Defect::uninitialised_global:
      return "uninitialised_global";
    case Defect::out_of_bounds_shared:
      return "out_of_bounds_shared";
    case Defect::out_of_bounds_global:
      return "out_of_bounds_global";
    case Defect::freed_memory:
      return "freed_memory";
    case Defect::host_memory:
      return "host_memory";
    case Defect::misaligned:
      return "misaligned";
    case Defect::divergent_barrier:
      return "divergent_barrier";
    case Defect::divergent_collective:
      return "divergent_collective";
    case Defect::deadlock:
      return "deadlock";
    case Defect::mbarrier_uninitialised:
      return "mbarrier_uninitialised";
    case Defect::mbarrier_unfenced:
      return "mbarrier_unfenced";
    case Defect::mbarrier_arrivals:
      return "mbarrier_arrivals";
    case Defect::unfinished_at_exit:
      return "unfinished_at_exit";
    case Defect::bad_operand:
      return "bad_operand";
    case Defect::bad_launch:
      break;
  }
  return "bad_launch";
}

KernelDefect::KernelDefect(std::vector<Finding> found) : DeviceError(summary(found)), findings_(std::move(found)) {}

uint32_t Checker::place_of_site(Site site) {
  RecentSite& recent = recent_sites_[static_cast<size_t>(site.line) % recent_sites_.size()];
  if (recent.site.file == site.file && recent.site.line == site.line) return recent.place;
  const auto [entry, is_new] = site_places_.try_emplace({site.file, site.line}, kFirstSite + sites_.size());
  if (is_new) sites_.push_back(site);
  recent = {site, entry->second};
  return entry->second;
}

std::string Checker::describe_place(uint32_t place) const {
  if (place < kFirstSite) {
    const Frames frames = frames_of(place);
    return !frames.kernel.empty() ? frames.kernel : !frames.any.empty() ? frames.any : "unknown line";
  }
  const Site site = sites_[place - kFirstSite];
  return concat(file_name(site.file), ":", site.line);
}

/// Whether a place is in a kernel source. The emulator itself may run library functions that were instrumented for one.
bool Checker::is_of_kernel(uint32_t place) {
  if (place >= kFirstSite) return true;
  const auto [known, is_new] = is_of_kernel_.try_emplace(place, false);
  if (is_new) known->second = !frames_of(place).kernel.empty();
  return known->second;
}

std::string Checker::describe_actor(Record record) const {
  const uint32_t actor = actor_of(record);
  if (actor >= kThreads + kCopyAgents) return concat("a wgmma of warpgroup ", actor - kThreads - kCopyAgents);
  if (actor >= kThreads) return "a bulk copy";
  std::string text = concat(is_pending(record) ? "an asynchronous copy of thread " : "thread ", actor);
  const uint32_t clock = clock_of(record);
  if (clock < clock_of(block_first_) && clock >= clock_of(launch_first_)) {
    const auto after = std::upper_bound(blocks_.begin(), blocks_.end(), clock,
                                        [](uint32_t value, const auto& block) { return value < block.first; });
    const BlockIndex block = std::prev(after)->second;
    text += concat(" of block ", block.x, ",", block.y, ",", block.z);
  }
  return text;
}

/// Where an address lies in its allocation or shared object.
std::string Checker::describe_address(const std::byte* p) const {
  for (const auto& object : objects_) {
    if (p < object.data() || p >= object.data() + object.size()) continue;
    const bool is_dynamic = &object == &objects_.front();
    return concat("byte ", p - object.data(), is_dynamic ? " of dynamic shared memory" : " of a shared object of ",
                  is_dynamic ? "" : concat(object.size(), " bytes"));
  }
  if (shared_.contains(p)) return "no object of shared memory";
  const auto after = allocations_.upper_bound(p);
  std::string text;
  if (after != allocations_.begin()) {
    const auto& [begin, bytes] = *std::prev(after);
    const auto offset = static_cast<size_t>(p - begin);
    if (offset < bytes) return concat("byte ", offset, " of an allocation of ", bytes, " bytes");
    text = concat(offset - bytes, " bytes behind an allocation of ", bytes, " bytes");
  }
  if (after != allocations_.end()) {
    text += concat(text.empty() ? "" : " and ", after->first - p, " bytes before one of ", after->second, " bytes");
  }
  return text.empty() ? "no allocation at all" : text;
}

std::string Checker::describe_running_block() const { return concat(block_.x, ",", block_.y, ",", block_.z); }

/// Counts what was found before.
bool Checker::is_new(Defect defect, uint32_t place) {
  const auto [entry, is_new] = found_.try_emplace({defect, place}, findings_.size());
  if (!is_new) ++findings_[entry->second].count;
  return is_new;
}

/// The compiler may have made several accesses of one line; they are one finding.
void Checker::add_finding(Defect defect, uint32_t place, const std::string& what) {
  const std::string line = concat(describe_place(place), ": ", name_of(defect), ": ");
  for (size_t i = 0; i < findings_.size(); ++i) {
    if (!findings_[i].text.starts_with(line)) continue;
    ++findings_[i].count;
    found_[{defect, place}] = i;
    return;
  }
  findings_.push_back({.defect = defect, .text = line + what});
}

void Checker::report(Defect defect, Site site, const std::string& what) {
  const uint32_t place = place_of_site(site);
  if (!is_new(defect, place)) return;
  std::string who;
  if (thread_ != nullptr) who = concat("thread ", thread_index_, " of block ", describe_running_block(), ": ");
  add_finding(defect, place, who + what);
}

void Checker::report_access(Defect defect, const Access& access, const std::function<std::string()>& what) {
  const uint32_t place = place_of(access.self);
  if (!is_new(defect, place)) return;
  add_finding(
      defect, place,
      concat(describe_actor(access.self), " of block ", describe_running_block(), " ", access.verb, " ", what()));
}

void Checker::report_conflict(Space space, Record before, bool was_write, const Access& access, const std::byte* p) {
  Defect defect = space == Space::shared ? Defect::shared_race : Defect::global_race;
  if (actor_of(before) >= kThreads + kCopyAgents) {
    defect = Defect::operand_in_use;
  } else if (is_pending(before) || is_by_agent(before)) {
    defect = Defect::unfinished_copy;
  }
  report_access(defect, access, [&] {
    return concat(describe_address(p), ", which ", describe_actor(before), was_write ? " wrote" : " read", " at ",
                  describe_place(place_of(before)), " in no order with it");
  });
}

std::vector<Finding> Checker::take_findings() {
  found_.clear();
  return std::exchange(findings_, {});
}

}  // namespace unet::kernels::emulated
