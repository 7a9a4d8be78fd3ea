// What kernels.cu uses of CUDA, on the CPU: enough to run every kernel as it is, thread by thread.
//
// The threads of a block are fibers of one process, and blocks run one after another. A fiber runs
// until it waits for others. They take turns in either order of their numbers: where a barrier is
// missing, one of the two orders reads what is not yet written.
//
// A warp that does not meet where CUDA wants it to ends the program, as does a block that waits for
// ever. Matrices of `wmma` are spread over the threads of a warp in an order of our own, so no kernel
// can get by with knowing NVIDIA's.
#pragma once

#include <csetjmp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <ucontext.h>

#define __global__
#define __device__
// Blocks run one after another, so what a block shares may be static.
#define __shared__
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)

struct uint4 {
  unsigned x, y, z, w;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
inline dim3 threadIdx, blockIdx, blockDim, gridDim;

inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }

// ---- Numbers of 16 bits ----

struct __half {
  _Float16 value;
};
inline float __half2float(__half x) { return static_cast<float>(x.value); }
inline __half __float2half_rn(float x) { return {static_cast<_Float16>(x)}; }

struct __nv_bfloat16 {
  std::uint16_t bits;
};
inline float __bfloat162float(__nv_bfloat16 x) {
  const std::uint32_t bits = static_cast<std::uint32_t>(x.bits) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}
inline __nv_bfloat16 __float2bfloat16_rn(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, 4);
  if (x != x) return {0x7fff};
  return {static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};  // ties to even
}

// ---- Threads ----

// Shared memory whose size is known at launch; more than any GPU lends to a block.
constexpr std::size_t N_STAGED_BYTES = 256 * 1024;
inline __align__(128) unsigned char staged[N_STAGED_BYTES];

namespace emulator {

constexpr int MAX_THREADS = 128, WARP = 32;
constexpr std::size_t N_STACK_BYTES = 128 * 1024;

[[noreturn]] inline void fail(const char *why) {
  std::fprintf(stderr, "block %u,%u,%u, thread %u: %s\n", blockIdx.x, blockIdx.y, blockIdx.z,
               threadIdx.x, why);
  std::exit(1);
}

// Where threads wait until `n` of them have come. All must come for the same reason.
struct Barrier {
  int n_here = 0, generation = 0;
  const char *reason = nullptr;
};

struct Warp {
  Barrier barrier;
  float numbers[2][2][256];  // what threads hand to each other, by turns
};

struct Fiber {
  ucontext_t start;
  jmp_buf at;
  bool is_begun = false, is_done = true;
  int turn = 0;  // which of a warp's two places it writes next
  std::unique_ptr<char[]> stack;
};

inline Fiber fibers[MAX_THREADS];
inline Warp warps[MAX_THREADS / WARP];
inline Barrier block;
inline jmp_buf scheduler;
inline int current;
inline bool has_moved;  // whether any thread came further in this round
inline std::function<void()> body;

// Back to the scheduler, until it is this thread's turn again.
[[gnu::noinline]] inline void yield() {
  if (_setjmp(fibers[current].at) == 0) _longjmp(scheduler, 1);
}

inline void run_fiber() {
  while (true) {
    body();
    fibers[current].is_done = has_moved = true;
    yield();
  }
}

[[gnu::noinline]] inline void resume(int thread) {
  Fiber &fiber = fibers[current = thread];
  threadIdx.x = static_cast<unsigned>(thread);
  if (_setjmp(scheduler) != 0) return;
  if (fiber.is_begun) _longjmp(fiber.at, 1);
  // _longjmp cannot enter a new stack, so the first time it is entered as a context.
  fiber.is_begun = true;
  fiber.stack = std::make_unique<char[]>(N_STACK_BYTES);
  getcontext(&fiber.start);
  fiber.start.uc_stack.ss_sp = fiber.stack.get();
  fiber.start.uc_stack.ss_size = N_STACK_BYTES;
  makecontext(&fiber.start, run_fiber, 0);
  setcontext(&fiber.start);
}

[[gnu::noinline]] inline void wait(Barrier &barrier, int n, const char *reason) {
  if (barrier.n_here == 0) barrier.reason = reason;
  if (std::strcmp(barrier.reason, reason) != 0) fail("threads of a warp do different things");
  if (++barrier.n_here == n) {
    barrier.n_here = 0;
    barrier.generation++;
    has_moved = true;
    return;
  }
  for (const int generation = barrier.generation; barrier.generation == generation;) yield();
}

inline Warp &warp() { return warps[threadIdx.x / WARP]; }
inline int lane() { return static_cast<int>(threadIdx.x % WARP); }
inline void wait_warp(const char *reason) { wait(warp().barrier, WARP, reason); }

// Hands out two places for numbers that the threads of a warp exchange. The places of the last
// exchange are not these, so nobody overwrites what another has yet to read.
inline float (*exchange())[256] { return warp().numbers[fibers[current].turn ^= 1]; }

// Runs a kernel that is lent so much shared memory, and may write no byte behind it. With
// `is_reversed` the last thread of a block is always the first to go on.
inline void launch(dim3 grid, unsigned n_threads, std::size_t n_staged, bool is_reversed,
                   std::function<void()> kernel) {
  constexpr std::size_t N_BEHIND = 4096;
  body = std::move(kernel);
  gridDim = grid;
  blockDim = {n_threads, 1, 1};
  for (unsigned i = 0; i < grid.x * grid.y * grid.z; i++) {
    blockIdx = {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
    std::memset(staged, 0xff, n_staged + N_BEHIND);  // not a number
    for (unsigned t = 0; t < n_threads; t++) fibers[t].is_done = false;
    for (bool is_done = false; !is_done;) {
      is_done = true;
      has_moved = false;
      for (unsigned n = 0; n < n_threads; n++) {
        const unsigned t = is_reversed ? n_threads - 1 - n : n;
        if (fibers[t].is_done) continue;
        resume(static_cast<int>(t));
        is_done = is_done && fibers[t].is_done;
      }
      if (!is_done && !has_moved) fail("threads wait for others that never come");
    }
    for (std::size_t n = 0; n < N_BEHIND; n++) {
      if (staged[n_staged + n] != 0xff) fail("shared memory is written behind its end");
    }
  }
}

}  // namespace emulator

inline void __syncthreads() {
  emulator::wait(emulator::block, static_cast<int>(blockDim.x), "block");
}
inline void __syncwarp() { emulator::wait_warp("warp"); }

inline float __shfl_xor_sync(unsigned, float value, int mask) {
  float *const numbers = emulator::exchange()[0];
  numbers[emulator::lane()] = value;
  emulator::wait_warp("shuffle");
  return numbers[emulator::lane() ^ mask];
}

inline bool __any_sync(unsigned, bool value) {
  float *const numbers = emulator::exchange()[0];
  numbers[emulator::lane()] = value;
  emulator::wait_warp("any");
  bool any = false;
  for (int i = 0; i < emulator::WARP; i++) any = any || numbers[i] != 0.0f;
  return any;
}

// ---- Matrices ----

namespace nvcuda::wmma {

struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
enum layout_t { mem_row_major, mem_col_major };

// A 16x16 matrix of which each thread of a warp has eight numbers.
template <typename Use, int M, int N, int K, typename T, typename Order = row_major>
struct fragment {
  static_assert(M == 16 && N == 16 && K == 16);
  static constexpr int num_elements = 8;
  T x[num_elements];
};

// Place of a thread's number `i` in the matrix, row by row: any order will do, and none is NVIDIA's.
inline int place(int i) { return (i * 32 + emulator::lane()) * 37 % 256; }

// NVIDIA asks for this much.
inline void check(const void *from, unsigned pitch, std::size_t size) {
  if (reinterpret_cast<std::uintptr_t>(from) % 32 != 0) emulator::fail("a matrix is not aligned");
  if (pitch * size % 16 != 0) emulator::fail("rows of a matrix are not aligned");
}

template <typename Use, typename T, typename Order>
inline void load_matrix_sync(fragment<Use, 16, 16, 16, T, Order> &to, const T *from, unsigned pitch) {
  check(from, pitch, sizeof(T));
  for (int i = 0; i < 8; i++) {
    const int row = place(i) / 16, column = place(i) % 16;
    constexpr bool is_turned = std::is_same_v<Order, col_major>;
    to.x[i] = is_turned ? from[column * pitch + row] : from[row * pitch + column];
  }
  emulator::wait_warp("load");
}

inline void load_matrix_sync(fragment<accumulator, 16, 16, 16, float> &to, const float *from,
                             unsigned pitch, layout_t) {
  load_matrix_sync<accumulator, float, row_major>(to, from, pitch);
}

template <typename T> inline void fill_fragment(fragment<accumulator, 16, 16, 16, T> &to, T value) {
  for (T &x : to.x) x = value;
}

inline void store_matrix_sync(float *to, const fragment<accumulator, 16, 16, 16, float> &from,
                              unsigned pitch, layout_t) {
  check(to, pitch, sizeof(float));
  for (int i = 0; i < 8; i++) to[place(i) / 16 * pitch + place(i) % 16] = from.x[i];
  emulator::wait_warp("store");
}

inline float number(__half x) { return __half2float(x); }
inline float number(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename T, typename Order>
inline void mma_sync(fragment<accumulator, 16, 16, 16, float> &to,
                     const fragment<matrix_a, 16, 16, 16, T, row_major> &a,
                     const fragment<matrix_b, 16, 16, 16, T, Order> &b,
                     const fragment<accumulator, 16, 16, 16, float> &c) {
  float(*const numbers)[256] = emulator::exchange();
  for (int i = 0; i < 8; i++) {
    numbers[0][place(i)] = number(a.x[i]);
    numbers[1][place(i)] = number(b.x[i]);
  }
  emulator::wait_warp("mma");
  for (int i = 0; i < 8; i++) {
    const int row = place(i) / 16, column = place(i) % 16;
    float sum = c.x[i];
    for (int k = 0; k < 16; k++) sum += numbers[0][row * 16 + k] * numbers[1][k * 16 + column];
    to.x[i] = sum;
  }
}

}  // namespace nvcuda::wmma
