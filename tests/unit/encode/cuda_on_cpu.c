/* What kernels.cu needs to be C for a CPU. A warp is 32 threads that take turns at nothing and meet at each exchange. */
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

typedef unsigned short half_bits;
#define KERNEL
#define FUNCTION static inline
#define UNROLL
#define ALL_LANES(value, distance) exchange(value, distance)
#define BLOCK 256

static _Thread_local struct { int x; } threadIdx, blockIdx;
static const struct { int x; } blockDim = {BLOCK};
static float exchanged[32];
static pthread_barrier_t meeting;

static float exchange(float value, int distance) {
  int lane = threadIdx.x % 32;
  exchanged[lane] = value;
  pthread_barrier_wait(&meeting);
  float other = exchanged[lane ^ distance];
  pthread_barrier_wait(&meeting);
  return other;
}

static float from_float16(half_bits bits) { _Float16 f; memcpy(&f, &bits, 2); return f; }
static half_bits to_float16(float value) { _Float16 f = value; half_bits bits; memcpy(&bits, &f, 2); return bits; }
#ifdef BFLOAT16
static float from_bfloat16(half_bits bits) { uint32_t u = (uint32_t)bits << 16; float f; memcpy(&f, &u, 4); return f; }
static half_bits to_bfloat16(float value) {
  uint32_t u;
  memcpy(&u, &value, 4);
  return isnan(value) ? 0x7fff : (u + 0x7fff + (u >> 16 & 1)) >> 16;
}
#endif
static float rsqrtf(float value) { return 1 / sqrtf(value); }

#include KERNELS

typedef void (*Kernel)(long, long, long, long, long, long, long, long);
static Kernel kernel;
static int blocks;
static const long* given;

static void* lane(void* number) {
  for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++)
    for (int warp = 0; warp < BLOCK / 32; warp++) {
      threadIdx.x = warp * 32 + (int)(intptr_t)number;
      kernel(given[0], given[1], given[2], given[3], given[4], given[5], given[6], given[7]);
    }
  return 0;
}

void launch(Kernel which, int count, const long* arguments) {
  pthread_t lanes[32];
  kernel = which, blocks = count, given = arguments;
  pthread_barrier_init(&meeting, 0, 32);
  for (intptr_t i = 0; i < 32; i++) pthread_create(&lanes[i], 0, lane, (void*)i);
  for (int i = 0; i < 32; i++) pthread_join(lanes[i], 0);
  pthread_barrier_destroy(&meeting);
}
