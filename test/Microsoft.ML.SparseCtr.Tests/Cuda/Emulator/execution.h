// Runs a kernel's grid on the CPU.
#pragma once

#include <cstddef>
#include <sstream>
#include <string>

#include "device.h"

inline std::ostream& operator<<(std::ostream& to, uint3 index) { return to << "(" << index.x << ", " << index.y << ", " << index.z << ")"; }

namespace emulator {

inline std::ostream& operator<<(std::ostream& to, Place place) { return to << place.file << ":" << place.line; }

template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream result;
  (result << ... << parts);
  return result.str();
}

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
