// One tiny kernel per wrapper of a PTX instruction (kernels/cuda/ptx.cuh, sm90/ptx.cuh), run on seeded random numbers.
// What a GPU computes is recorded in small files; the emulator's models are held against them ever after.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/context.h"

namespace unet::conformance {

/// Memory of the device under test, and numbers to fill it with. One for each run of a case.
class Inputs {
 public:
  explicit Inputs(const kernels::Context& context);

  const kernels::Context& context() const { return context_; }
  /// FNV-1a of everything that was uploaded: a recording holds for these inputs only.
  uint64_t hash() const { return hash_; }

  template <class T>
  T* upload(const std::vector<T>& values) {
    T* data = allocate<T>(values.size());
    add_to_hash(values.data(), values.size() * sizeof(T));
    context_.state->upload(data, values.data(), values.size() * sizeof(T));
    return data;
  }
  template <class T>
  T* allocate(size_t count) {
    return static_cast<T*>(allocate_bytes(count * sizeof(T)));
  }
  template <class T>
  std::vector<uint32_t> download(const T* data, size_t count) {
    static_assert(sizeof(T) == 4);
    std::vector<uint32_t> words(count);
    context_.state->download(words.data(), data, count * sizeof(T));
    return words;
  }

  std::vector<uint32_t> words(size_t count);       // all bits random
  std::vector<float> whole_numbers(size_t count);  // -8 to 8: sums of products are exact
  std::vector<float> real_numbers(size_t count);   // -1 to 1, all bits of the mantissa random
  std::vector<uint32_t> bf16_pairs(const std::vector<float>& values);

 private:
  uint32_t next();
  void* allocate_bytes(size_t bytes);
  void add_to_hash(const void* data, size_t bytes);

  const kernels::Context& context_;
  std::unique_ptr<kernels::AddressSpace> memory_;
  size_t used_ = 0;
  uint64_t random_ = 1, hash_ = 0xcbf29ce484222325U;
};

struct Case {
  std::string name;
  int capability;    // of the device, at least
  double tolerance;  // of results as floats, relative to the largest; 0: equal bits
  std::function<std::vector<uint32_t>(Inputs&)> run;
};

std::vector<Case> ampere_cases();  // compute capability 8.0
std::vector<Case> hopper_cases();  // 9.0a

}  // namespace unet::conformance
