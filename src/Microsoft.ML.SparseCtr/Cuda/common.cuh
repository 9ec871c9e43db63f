// What comes before every program: compiled by NVRTC, which knows no header but itself, or for an emulator, which brings its own KERNEL.

// A kernel takes one structure, p, which .NET code declares alike.
#ifndef KERNEL
#define KERNEL(name, Parameters) extern "C" __global__ void __launch_bounds__(THREADS) name(const Parameters p)
#endif

#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif

// The upper half of a float.
struct bfloat16 {
  unsigned short bits;
};

__device__ __forceinline__ float to_float(float value) { return value; }

__device__ __forceinline__ float to_float(bfloat16 value) { return __uint_as_float(static_cast<unsigned>(value.bits) << 16); }

// Four numbers, which lie as those of a float4 or a uint2 would.
__device__ __forceinline__ float4 read_four(const float* from) { return *reinterpret_cast<const float4*>(from); }

__device__ __forceinline__ float4 read_four(const bfloat16* from) {
  const uint2 pairs = *reinterpret_cast<const uint2*>(from);
  return make_float4(__uint_as_float(pairs.x << 16), __uint_as_float(pairs.x & 0xffff0000), __uint_as_float(pairs.y << 16), __uint_as_float(pairs.y & 0xffff0000));
}

__device__ __forceinline__ void store(float* to, float value) { *to = value; }

// Rounds to the nearest, ties to even; what is not a number stays none.
__device__ __forceinline__ void store(bfloat16* to, float value) {
  const unsigned bits = __float_as_uint(value);
  to->bits = value != value ? 0x7fff : static_cast<unsigned short>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// A step of an optimizer: what decay keeps of a weight, and what gradients are multiplied by, as clipping wants it.
struct OptimizerStep {
  float rate, epsilon, beta1, beta2, keep, scale;
};

// What AdamW's step does to a weight and its moments (AdamWRule).
__device__ __forceinline__ void update_by_adamw(const OptimizerStep& step, float gradient, float* moment1, float* moment2, float* weight) {
  const float g = gradient * step.scale, m = *moment1 * step.beta1 + g * (1 - step.beta1), v = *moment2 * step.beta2 + g * g * (1 - step.beta2);
  *moment1 = m;
  *moment2 = v;
  *weight = *weight * step.keep - m * step.rate / (sqrtf(v) + step.epsilon);
}

__device__ __forceinline__ int divide_up(int number, int by) { return (number + by - 1) / by; }
