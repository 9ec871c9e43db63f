// Runs a kernel's grid on the CPU.
#pragma once

#include <cstddef>
#include <string>

#include "device.h"

namespace emulator {

constexpr unsigned max_threads = 1024, max_shared_bytes = 163 * 1024;

struct Launch {
  const Kernel* kernel;
  const void* parameters;
  dim3 grid, block;
  unsigned shared_bytes;  // dynamic
  void* static_shared;    // what the kernel's module declares as __shared__
  size_t static_shared_bytes;
};

// Returns what is wrong with the kernel, if the run showed it; an empty text when all blocks ended.
std::string run(const Launch& launch);

}  // namespace emulator
