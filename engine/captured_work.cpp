#include "engine/captured_work.h"

namespace unet::engine {

CapturedWork::CapturedWork(std::shared_ptr<Device> device, const std::function<void()>& work)
    : device_(std::move(device)) {
  device_->arena().watch();
  device_->state().begin_capture();
  try {
    work();
  } catch (...) {
    try {
      device_->state().end_capture();
    } catch (const Error&) {  // a consequence of the first error, which is the one to tell
    }
    held_ = device_->arena().hold_watched();
    release_held();
    throw;
  }
  held_ = device_->arena().hold_watched();
  try {
    graph_ = device_->state().end_capture();
  } catch (...) {
    release_held();
    throw;
  }
}

CapturedWork::~CapturedWork() {
  graph_.reset();
  release_held();
}

void CapturedWork::replay() const { device_->state().replay(*graph_); }

void CapturedWork::release_held() {
  for (void* block : held_) device_->arena().release(block);
}

}  // namespace unet::engine
