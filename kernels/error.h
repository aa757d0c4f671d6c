// Typed errors of every layer. A message says what was expected, what came and what to do.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace unet {

/// Base of everything this project throws on purpose. Catch the derived type you can act on.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An option, a preset or a combination of settings that cannot be used.
class ConfigError : public Error {
 public:
  using Error::Error;
};

/// Operands whose shapes do not fit together; the text names both shapes.
class ShapeError : public Error {
 public:
  using Error::Error;
};

/// An element type or a layout that the operation or the target does not take.
class TypeError : public Error {
 public:
  using Error::Error;
};

/// Input data that cannot be used: a broken file, unpaired labels, pixels that are not numbers.
class DataError : public Error {
 public:
  using Error::Error;
};

/// The operating system refused: missing file, permission, disk full.
class IoError : public Error {
 public:
  using Error::Error;
};

/// A model or checkpoint that is damaged or made for another network.
class CheckpointError : public Error {
 public:
  using Error::Error;
};

/// A loss, gradient or weight that is not finite.
class NumericError : public Error {
 public:
  using Error::Error;
};

/// The device or its driver failed.
class DeviceError : public Error {
 public:
  using Error::Error;
};

/// Memory ran out, or the limit set by the caller would be passed.
class OutOfMemory : public Error {
 public:
  OutOfMemory(const std::string& message, size_t requested, size_t limit)
      : Error(message), requested_bytes(requested), limit_bytes(limit) {}
  size_t requested_bytes;
  size_t limit_bytes;
};

/// Joins its arguments with operator<<: concat("conv2d: expected ", 3, " channels").
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace unet
