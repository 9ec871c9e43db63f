// How fast the BLAS under libtorch multiplies matrices, and what to say of a slow one.
#pragma once

#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace blas {

constexpr double slow = 20;  // GFLOP/s: a reference BLAS reaches about 5, an optimized one 50 and more on one core

constexpr const char* advice =
    "This is a reference BLAS: training would be many times slower than it needs to be. "
    "Install an optimized one: apt-get install libopenblas0-openmp";

inline double gigaflops(int64_t size, int runs) {
  const at::Tensor matrix = at::ones({size, size});
  double best = 0;
  for (int run = 0; run < runs; run++) {
    const auto start = std::chrono::steady_clock::now();
    at::mm(matrix, matrix);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2.0 * size * size * size / elapsed.count() / 1e9);
  }
  return best;
}

}  // namespace blas
