// What is between the matrix products and the attention of the encoder in half precision; built at run time by NVRTC.
//
// PyTorch's own operators read and write the device's memory once for each step, in float32 for the most part; each of
// these reads and writes it once, in half precision, and computes in float32. The host chooses by macros:
//
//     BFLOAT16   the half precision is bfloat16, otherwise float16
//     WIDTH      length of a token, a multiple of 8
//     SAVE32     the features are saved in float32, otherwise in float16
//
// No headers, because the image has none, and no more than C but for what is defined here for CUDA: a test compiles the
// same text for the CPU, with 32 threads for the lanes of a warp.

#ifdef __CUDACC_RTC__
typedef unsigned short half_bits;
#define KERNEL extern "C" __global__
#define FUNCTION static __device__ __forceinline__
#define UNROLL _Pragma("unroll")
#define ALL_LANES(value, distance) __shfl_xor_sync(0xffffffffu, value, distance)

FUNCTION float from_float16(half_bits bits) { float f; asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(bits)); return f; }
FUNCTION half_bits to_float16(float f) { half_bits bits; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(f)); return bits; }
#ifdef BFLOAT16
FUNCTION float from_bfloat16(half_bits bits) { return __uint_as_float((unsigned)bits << 16); }
FUNCTION half_bits to_bfloat16(float f) { half_bits bits; asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(f)); return bits; }
#endif
#endif

#ifdef BFLOAT16
#define UP from_bfloat16
#define DOWN to_bfloat16
#else
#define UP from_float16
#define DOWN to_float16
#endif
#ifdef SAVE32
typedef float saved;
#define SAVED(value) (value)
#else
typedef half_bits saved;
#define SAVED(value) to_float16(value)
#endif

// Eight values, 16 bytes: what a thread reads or writes at once.
typedef struct __attribute__((aligned(16))) { half_bits v[8]; } eight;
typedef struct __attribute__((aligned(16))) { float v[4]; } four;
#define LANES 32
#define EIGHTS (WIDTH / 8)
#define EIGHTS_OF_A_LANE ((EIGHTS + LANES - 1) / LANES)
#define HEADS_OF_A_THREAD 4

// Pixels to tubelets: (batch, frames, 3, height, width) uint8 to (batch * tokens, 3 * 2 * 16 * 16). A pixel v becomes
// (v - 128) / 64, which either half precision holds exactly; the first layer's weights take the rest of the
// normalisation. A thread does one line of a tubelet, 16 pixels.
KERNEL void tubelets(const unsigned char* video, half_bits* out, int lines, int height, int width) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= lines) return;
  int line = i % 16, frame = i / 16 % 2, channel = i / 32 % 3, token = i / 96;
  int across = width / 16, down = height / 16;
  int column = token % across, row = token / across % down;
  long long pair = token / (across * down);  // of frames, counted through the whole batch
  const unsigned char* from =
      video + (((pair * 2 + frame) * 3 + channel) * height + row * 16 + line) * (long long)width + column * 16;
  struct __attribute__((aligned(16))) { unsigned char v[16]; } pixels;
  *(eight*)&pixels = *(const eight*)from;
  UNROLL for (int part = 0; part < 2; part++) {
    eight e;
    UNROLL for (int j = 0; j < 8; j++) e.v[j] = DOWN((pixels.v[part * 8 + j] - 128) * 0.015625f);
    *(eight*)(out + (long long)i * 16 + part * 8) = e;
  }
}

// Queries and keys, the first 2 * WIDTH of (rows, 3 * WIDTH), get their biases and are turned by their positions, in
// place. bias is (2 * WIDTH), cosines and sines are (tokens, dim). A thread does the same eight dimensions of up to
// four heads, for which it reads the angles once.
KERNEL void rope(half_bits* qkv, const float* bias, const float* cosines, const float* sines, int rows, int tokens,
                 int dim) {
  int chunks = dim / 8, heads = 2 * WIDTH / dim, groups = (heads + HEADS_OF_A_THREAD - 1) / HEADS_OF_A_THREAD;
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  int row = i / (chunks * groups), group = i / chunks % groups, chunk = i % chunks;
  if (row >= rows) return;
  float cosine[8], sine[8];
  UNROLL for (int j = 0; j < 2; j++) {
    int at = row % tokens * dim + chunk * 8 + j * 4;
    four c = *(const four*)(cosines + at), s = *(const four*)(sines + at);
    UNROLL for (int k = 0; k < 4; k++) cosine[j * 4 + k] = c.v[k], sine[j * 4 + k] = s.v[k];
  }
  half_bits* from = qkv + (long long)row * 3 * WIDTH + chunk * 8;
  eight held[HEADS_OF_A_THREAD];
  UNROLL for (int n = 0; n < HEADS_OF_A_THREAD; n++) {
    int head = group + n * groups;
    if (head < heads) held[n] = *(const eight*)(from + head * dim);
  }
  UNROLL for (int n = 0; n < HEADS_OF_A_THREAD; n++) {
    int head = group + n * groups;
    if (head >= heads) continue;
    UNROLL for (int half = 0; half < 8; half += 4) {
      four b = *(const four*)(bias + head * dim + chunk * 8 + half);
      UNROLL for (int j = 0; j < 4; j += 2) {
        float even = UP(held[n].v[half + j]) + b.v[j], odd = UP(held[n].v[half + j + 1]) + b.v[j + 1];
        held[n].v[half + j] = DOWN(even * cosine[half + j] - odd * sine[half + j]);
        held[n].v[half + j + 1] = DOWN(odd * cosine[half + j + 1] + even * sine[half + j + 1]);
      }
    }
    *(eight*)(from + head * dim) = held[n];
  }
}

// Layer norm of x + shift, without weight and bias; a warp does a row. Returns the row's eights of this lane in held,
// with mean 0 and variance 1, and the variance that they had.
FUNCTION float normalised(const half_bits* x, const float* shift, int lane, float held[EIGHTS_OF_A_LANE][8]) {
  eight e[EIGHTS_OF_A_LANE];
  UNROLL for (int n = 0; n < EIGHTS_OF_A_LANE; n++) {
    int at = lane + n * LANES;
    if (at < EIGHTS) e[n] = *(const eight*)(x + at * 8);
  }
  float sum = 0, squares = 0;
  UNROLL for (int n = 0; n < EIGHTS_OF_A_LANE; n++) {
    int at = lane + n * LANES;
    if (at >= EIGHTS) continue;
    UNROLL for (int half = 0; half < 2; half++) {
      four s = *(const four*)(shift + at * 8 + half * 4);
      UNROLL for (int j = 0; j < 4; j++) sum += held[n][half * 4 + j] = UP(e[n].v[half * 4 + j]) + s.v[j];
    }
  }
  for (int distance = LANES / 2; distance; distance /= 2) sum += ALL_LANES(sum, distance);
  UNROLL for (int n = 0; n < EIGHTS_OF_A_LANE; n++) {
    if (lane + n * LANES >= EIGHTS) continue;
    UNROLL for (int j = 0; j < 8; j++) {
      held[n][j] -= sum * (1.0f / WIDTH);
      squares += held[n][j] * held[n][j];
    }
  }
  for (int distance = LANES / 2; distance; distance /= 2) squares += ALL_LANES(squares, distance);
  float scale = rsqrtf(squares * (1.0f / WIDTH) + 1e-6f);
  UNROLL for (int n = 0; n < EIGHTS_OF_A_LANE; n++)
    UNROLL for (int j = 0; j < 8; j++) held[n][j] *= scale;
  return squares;
}

// The norm before a layer, (rows, WIDTH) to the same shape; its weight and bias are in that layer's.
KERNEL void layer_norm(const half_bits* x, const float* shift, half_bits* out, int rows) {
  int row = (blockIdx.x * blockDim.x + threadIdx.x) / LANES, lane = threadIdx.x % LANES;
  if (row >= rows) return;
  float held[EIGHTS_OF_A_LANE][8];
  normalised(x + (long long)row * WIDTH, shift, lane, held);
  UNROLL for (int n = 0; n < EIGHTS_OF_A_LANE; n++) {
    int at = lane + n * LANES;
    if (at >= EIGHTS) continue;
    eight e;
    UNROLL for (int j = 0; j < 8; j++) e.v[j] = DOWN(held[n][j]);
    *(eight*)(out + (long long)row * WIDTH + at * 8) = e;
  }
}

// The last norm, (rows, WIDTH) to the features. overflowed, one a clip, becomes 1 where a value was not finite.
KERNEL void last_layer_norm(const half_bits* x, const float* shift, const float* weight, const float* bias, saved* out,
                            int* overflowed, int rows, int tokens) {
  int row = (blockIdx.x * blockDim.x + threadIdx.x) / LANES, lane = threadIdx.x % LANES;
  if (row >= rows) return;
  float held[EIGHTS_OF_A_LANE][8];
  float squares = normalised(x + (long long)row * WIDTH, shift, lane, held);
  if (lane == 0 && !(squares - squares == 0)) overflowed[row / tokens] = 1;
  UNROLL for (int n = 0; n < EIGHTS_OF_A_LANE; n++) {
    int at = lane + n * LANES;
    if (at >= EIGHTS) continue;
    struct __attribute__((aligned(16))) { saved v[8]; } e;
    UNROLL for (int half = 0; half < 2; half++) {
      four w = *(const four*)(weight + at * 8 + half * 4), b = *(const four*)(bias + at * 8 + half * 4);
      UNROLL for (int j = 0; j < 4; j++) e.v[half * 4 + j] = SAVED(held[n][half * 4 + j] * w.v[j] + b.v[j]);
    }
    for (int part = 0; part < (int)(sizeof e / 16); part++)
      ((eight*)(out + (long long)row * WIDTH + at * 8))[part] = ((eight*)&e)[part];
  }
}
