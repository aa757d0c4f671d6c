// memcpy, memmove and memset of instrumented code, which g++ does not instrument: they go to the checker. For device.h
// alone; instrumented sources are compiled with -fno-builtin-memcpy and so on, or short calls would become moves
// unseen.
#pragma once

#include <cstddef>

extern "C" {
void* memcpy(void* to, const void* from, size_t bytes) noexcept __asm__("unet_emulated_memcpy");
void* memmove(void* to, const void* from, size_t bytes) noexcept __asm__("unet_emulated_memmove");
void* memset(void* to, int value, size_t bytes) noexcept __asm__("unet_emulated_memset");
}

#include <cstring>
