// --output FOLDER: runs the kernels of cases.h on this program's target and writes a file per case.
// --replay FOLDER: runs them again and compares; exit status 77 where nothing is recorded.
//
// Record on a GPU, replay on the emulator: what differs is a mistake in a model, in a wrapper or in the reading of the
// PTX ISA.
#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <sstream>

#include "kernels/error.h"
#include "tests/conformance/cases.h"
#if UNET_WITH_EMULATED
#include "kernels/emulated/state.h"
#endif

namespace unet::conformance {

using kernels::Context;
using kernels::Target;

constexpr size_t kMemoryBytes = size_t{2} << 20;  // more than any case needs

Inputs::Inputs(const Context& context) : context_(context), memory_(context.state->reserve(kMemoryBytes)) {
  const size_t unit = memory_->granularity();
  if (!memory_->commit(0, (kMemoryBytes + unit - 1) / unit * unit))
    throw OutOfMemory("conformance: no device memory", kMemoryBytes, 0);
}

void* Inputs::allocate_bytes(size_t bytes) {
  char* block = memory_->base() + used_;
  used_ += (bytes + 511) / 256 * 256;
  if (used_ > kMemoryBytes) throw OutOfMemory("conformance: the cases' memory is too small", bytes, kMemoryBytes);
  memory_->on_allocate(block, bytes);
  return block;
}

void Inputs::add_to_hash(const void* data, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) {
    hash_ = (hash_ ^ static_cast<const unsigned char*>(data)[i]) * 0x100000001b3U;
  }
}

uint32_t Inputs::next() {  // Knuth's linear congruential generator MMIX, its upper half
  random_ = random_ * 6364136223846793005U + 1442695040888963407U;
  return static_cast<uint32_t>(random_ >> 32);
}

std::vector<uint32_t> Inputs::words(size_t count) {
  std::vector<uint32_t> values(count);
  for (uint32_t& value : values) value = next();
  return values;
}

std::vector<float> Inputs::whole_numbers(size_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(next() % 17) - 8;
  return values;
}

std::vector<float> Inputs::real_numbers(size_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(static_cast<int32_t>(next())) * 0x1p-31F;
  return values;
}

std::vector<uint32_t> Inputs::bf16_pairs(const std::vector<float>& values) {
  std::vector<uint32_t> words(values.size() / 2);
  for (size_t i = 0; i < words.size(); ++i) {
    words[i] = uint32_t{bf16(values[2 * i]).bits} | uint32_t{bf16(values[2 * i + 1]).bits} << 16;
  }
  return words;
}

namespace {

std::filesystem::path path_of(const std::filesystem::path& folder, const Case& c) {
  std::string stem = c.name;
  for (char& letter : stem) {
    if (letter == ' ') letter = '_';
  }
  return folder / (stem + ".txt");
}

/// What a file holds.
struct Recording {
  std::string device;
  uint64_t inputs = 0;  // hash
  std::vector<uint32_t> words;
};

void write(const std::filesystem::path& path, const Recording& recording) {
  std::ofstream out(path);
  out << "device " << recording.device << "\ninputs " << std::hex << recording.inputs << "\nwords " << std::dec
      << recording.words.size();
  out << std::hex << std::setfill('0');
  for (size_t i = 0; i < recording.words.size(); ++i) {
    out << (i % 12 == 0 ? "\n" : " ") << std::setw(8) << recording.words[i];
  }
  out << "\n";
  if (!out.flush()) throw IoError(concat("conformance: cannot write ", path.string()));
}

Recording read(const std::filesystem::path& path) {
  std::ifstream in(path);
  Recording recording;
  std::string key;
  size_t count = 0;
  in >> key;
  std::getline(in >> std::ws, recording.device);
  in >> key >> std::hex >> recording.inputs >> key >> std::dec >> count >> std::hex;
  recording.words.resize(in ? count : 0);
  for (uint32_t& word : recording.words) in >> word;
  if (!in) throw DataError(concat("conformance: ", path.string(), " is no recording; record it again"));
  return recording;
}

/// Empty, or what differs.
std::string difference(const Case& c, const std::vector<uint32_t>& got, const std::vector<uint32_t>& expected) {
  if (got.size() != expected.size()) return concat("expected ", expected.size(), " words, got ", got.size());
  float largest = 0;
  for (const uint32_t word : expected) largest = std::fmax(largest, std::fabs(std::bit_cast<float>(word)));
  for (size_t i = 0; i < got.size(); ++i) {
    if (got[i] == expected[i]) continue;
    const double error = std::fabs(double{std::bit_cast<float>(got[i])} - double{std::bit_cast<float>(expected[i])});
    if (c.tolerance > 0 && error <= c.tolerance * double{largest}) continue;
    std::ostringstream text;
    text << "word " << i << ": expected " << std::hex << expected[i] << ", got " << got[i];
    return text.str();
  }
  return {};
}

Recording run(const Case& c, const Context& context, const std::string& device) {
  Inputs inputs(context);
  const std::vector<uint32_t> words = c.run(inputs);
  return {device, inputs.hash(), words};
}

int record(const std::vector<Case>& cases, const Context& context, const std::filesystem::path& folder) {
  const kernels::DeviceInfo info = context.state->info();
  std::filesystem::create_directories(folder);
  int failed = 0;
  for (const Case& c : cases) {
    if (c.capability > info.capability) {
      std::cout << "left out: " << c.name << " needs capability " << c.capability << "\n";
      continue;
    }
    try {
      write(path_of(folder, c), run(c, context, concat(info.name, ", capability ", info.capability)));
      std::cout << "recorded: " << c.name << "\n";
    } catch (const DeviceError& error) {  // the device may refuse one instruction and do the others
      std::cout << "refused: " << c.name << ": " << error.what() << "\n";
      ++failed;
    }
  }
  return failed == 0 ? 0 : 1;
}

int replay(const std::vector<Case>& cases, const Context& context, const std::filesystem::path& folder) {
  int compared = 0, failed = 0;
  for (const Case& c : cases) {
    if (!std::filesystem::exists(path_of(folder, c)) || c.capability > context.state->info().capability) {
      std::cout << "not recorded: " << c.name << "\n";
      continue;
    }
    const Recording recording = read(path_of(folder, c)), got = run(c, context, "");
    const std::string what = got.inputs == recording.inputs ? difference(c, got.words, recording.words)
                                                            : "recorded for other inputs; record it again";
    ++compared;
    failed += what.empty() ? 0 : 1;
    std::cout << (what.empty() ? "same: " : "differs: ") << c.name << (what.empty() ? "" : ": ") << what
              << " (recorded on " << recording.device << ")\n";
  }
  if (compared == 0) {
    std::cout << "skipped: nothing is recorded in " << folder.string()
              << "; run conformance_record --output on a GPU\n";
    return 77;
  }
  return failed == 0 ? 0 : 1;
}

int run_program(const std::string& mode, const std::filesystem::path& folder) {
  Context context;
  context.target = kernels::Target::UNET_TEST_TARGET;
  context.state = kernels::make_target_state(context.target);
#if UNET_WITH_EMULATED
  if (auto* emulated = dynamic_cast<kernels::emulated::State*>(context.state.get())) emulated->set_capability(90);
#endif
  std::vector<Case> cases = ampere_cases();
  for (Case& c : hopper_cases()) cases.push_back(std::move(c));
  if (mode == "--output") return record(cases, context, folder);
  if (mode == "--replay") return replay(cases, context, folder);
  throw ConfigError(concat("conformance: expected --output or --replay, got ", mode));
}

}  // namespace
}  // namespace unet::conformance

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: conformance --output|--replay FOLDER\n";
    return 2;
  }
  try {
    return unet::conformance::run_program(argv[1], argv[2]);
  } catch (const unet::Error& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
