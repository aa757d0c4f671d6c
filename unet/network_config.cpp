#include "unet/network_config.h"

namespace unet {
namespace {

void require_range(const char* key, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high) {
    throw ConfigError(concat("network.", key, ": expected ", low, " .. ", high, ", got ", value));
  }
}

}  // namespace

void NetworkConfig::validate() const {
  require_range("in_channels", in_channels, 1, 16);
  require_range("classes", classes, 2, 255);
  require_range("depth", depth, 1, 6);
  require_range("width", width, 1, 1024);
  require_range("last_up_channels", last_up_channels, 0, 4096);
  if (!(dropout >= 0 && dropout < 1)) {
    throw ConfigError(concat("network.dropout: expected 0 .. below 1, got ", dropout));
  }
}

}  // namespace unet
