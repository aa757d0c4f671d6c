// Scalars for TensorBoard: an events.out.tfevents file, written without TensorFlow or protobuf.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "unet/append_file.h"

namespace unet {

/// One record of an event file: length (8 bytes, little-endian), masked CRC-32C of it, payload, masked CRC-32C of it.
/// The mask is ((crc >> 15) | (crc << 17)) + 0xa282ead8. Source: TensorFlow, core/lib/io/record_writer.
std::string tensorboard_record(std::string_view payload);

/// An `Event` message that holds scalars. Source: TensorFlow, core/util/event.proto and core/framework/summary.proto.
/// wall_time in seconds since 1970.
std::string tensorboard_event(double wall_time, int64_t step,
                              const std::vector<std::pair<std::string, double>>& scalars);

/// Appends scalars to a new file `folder/events.out.tfevents.TIME.PID`; TensorBoard joins the files of a folder.
/// Errors: IoError.
class TensorBoardWriter {
 public:
  /// Tells TensorBoard to drop what earlier files hold from `first_step` on.
  TensorBoardWriter(const std::filesystem::path& folder, int64_t first_step);

  /// Tags group at their slash: "loss/train", "loss/validation".
  void write(int64_t step, const std::vector<std::pair<std::string, double>>& scalars);

  const std::filesystem::path& path() const { return file_.path(); }

 private:
  AppendFile file_;
};

}  // namespace unet
