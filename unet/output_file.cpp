#include "unet/output_file.h"

#include <span>

#include "engine/atomic_file.h"

namespace unet {

void write_file(const std::filesystem::path& path, std::string_view content) {
  engine::AtomicFile file(path);
  file.write(std::as_bytes(std::span(content)));
  file.commit();
}

}  // namespace unet
