// AdamW for weights that every step updates (DenseAdamW).

struct Dense {
  float *weights, *moments1, *moments2;  // [count]
  const float* gradients;
  double* squared_norms;  // [blocks]
  long long count;
  OptimizerStep step;
};

// Weights of a block, each thread the same number of them.
constexpr int PerBlock = 4 * THREADS;

__device__ long long first() { return static_cast<long long>(blockIdx.x) * PerBlock + threadIdx.x; }
__device__ long long end(const Dense& p) { return min((static_cast<long long>(blockIdx.x) + 1) * PerBlock, p.count); }

// The squared norm of the gradients: a number from each block.
KERNEL(sum_squares, Dense) {
  __shared__ float sums[THREADS];
  float sum = 0;
  for (long long i = first(); i < end(p); i += THREADS) sum = fmaf(p.gradients[i], p.gradients[i], sum);
  sums[threadIdx.x] = sum;
  for (int half = THREADS / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  if (threadIdx.x == 0) p.squared_norms[blockIdx.x] = sums[0];
}

KERNEL(update, Dense) {
  for (long long i = first(); i < end(p); i += THREADS) update_by_adamw(p.step, p.gradients[i], p.moments1 + i, p.moments2 + i, p.weights + i);
}
