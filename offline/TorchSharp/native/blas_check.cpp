// blas-check: prints the speed of the BLAS under libtorch, and exits with 3 when it is a slow one.
#include "blas.h"

#include <cstdio>

int main() {
  const double speed = blas::gigaflops(512, 5);
  std::printf("blas: %.0f GFLOP/s\n", speed);
  if (speed >= blas::slow) return 0;
  std::printf("%s\n", blas::advice);
  return 3;
}
