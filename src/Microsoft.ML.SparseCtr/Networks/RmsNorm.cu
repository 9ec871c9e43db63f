// RmsNorm of rows and its gradients. A warp computes a row.
//
// Constants: DIMENSION of a row; Input and Output, the types of what is given and put out, float or bfloat16. Weights and sums are floats.

struct RmsNorm {
  const Input* input;  // [rows, DIMENSION]
  const float* weight;
  Output* output;
  const Output* output_gradient;
  Input* input_gradient;
  float* weight_gradients;  // [warps, DIMENSION] each warp's share
  long long rows;
  float epsilon;
};

constexpr int Warp = 32;

__device__ int lane() { return threadIdx.x % Warp; }
__device__ int warp() { return blockIdx.x * (THREADS / Warp) + threadIdx.x / Warp; }

__device__ float warp_sum(float value) {
#pragma unroll
  for (int distance = Warp / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(~0u, value, distance);
  return value;
}

__device__ float inverse_root_mean_square(const Input* row, float epsilon) {
  float squares = 0;
  for (int i = lane(); i < DIMENSION; i += Warp) squares = fmaf(to_float(row[i]), to_float(row[i]), squares);
  return rsqrtf(warp_sum(squares) / DIMENSION + epsilon);
}

KERNEL(normalize, RmsNorm) {
  if (warp() >= p.rows) return;
  const long long start = static_cast<long long>(warp()) * DIMENSION;
  const float inverse = inverse_root_mean_square(p.input + start, p.epsilon);
  for (int i = lane(); i < DIMENSION; i += Warp) store(p.output + start + i, to_float(p.input[start + i]) * inverse * p.weight[i]);
}

// With r = 1 / sqrt(mean(x^2) + epsilon) and h = g weight, the gradient of x is r h - x r^3 mean(h x), and that of the weight the sum of g x r, of which each warp adds up
// that of its rows: every so manieth, so many as there are warps.
KERNEL(differentiate, RmsNorm) {
  constexpr int PerLane = (DIMENSION + Warp - 1) / Warp;
  float weight_gradient[PerLane] = {};
  for (long long row = warp(); row < p.rows; row += static_cast<long long>(gridDim.x) * (THREADS / Warp)) {
    const Input* x = p.input + row * DIMENSION;
    const Output* g = p.output_gradient + row * DIMENSION;
    const float inverse = inverse_root_mean_square(x, p.epsilon);
    float sum = 0;
#pragma unroll
    for (int j = 0; j < PerLane; j++) {
      const int i = lane() + Warp * j;
      if (i >= DIMENSION) continue;
      const float product = to_float(g[i]) * to_float(x[i]);
      sum = fmaf(product, p.weight[i], sum);
      weight_gradient[j] = fmaf(product, inverse, weight_gradient[j]);
    }
    const float share = inverse * inverse * inverse * warp_sum(sum) / DIMENSION;
#pragma unroll
    for (int j = 0; j < PerLane; j++) {
      const int i = lane() + Warp * j;
      if (i < DIMENSION) store(p.input_gradient + row * DIMENSION + i, to_float(g[i]) * p.weight[i] * inverse - to_float(x[i]) * share);
    }
  }
#pragma unroll
  for (int j = 0; j < PerLane; j++)
    if (lane() + Warp * j < DIMENSION) p.weight_gradients[static_cast<long long>(warp()) * DIMENSION + lane() + Warp * j] = weight_gradient[j];
}
