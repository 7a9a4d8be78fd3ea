// Attention over streaming caches on NVIDIA GPUs: pinned keys and ring keys in one softmax.
//
// Rows are the tokens of one step, of any number of lanes; a lane is a stream, and its rows are
// neighbours. A row sees a run of pinned slots and a run of the ring, which wraps from the last slot
// to the first one behind the pinned. Letters: R rows, H query heads, G key heads, D width of a
// head, S slots.
//
// - rotate_store: queries and keys are rotated, keys and values go into their slots.
// - attend_rows, join_rows: few rows of a lane. A block takes SPLIT keys of one row; splits are
//   joined in order.
// - attend_tiles: many rows of a lane, 64 at a time, on tensor cores.
// - add_shares: what rows give to slots that are watched.
//
// Invariant: the numbers of a row depend on the row and on what its lane keeps, and on nothing else,
// within each of the two ways; which one a lane takes depends on how many rows it is fed.
// Splits are cut in the order of the row's own keys; tiles are cut at multiples of 64 slots, and a
// key that a row does not see adds an exact zero. No sum is taken with atomics.
//
// Invariant: a slot that no row of a block sees is not read. It may hold anything.
//
// Sources: Milakov and Gimelshein, "Online normalizer calculation for softmax", arXiv:1805.02867;
// Dao et al., "FlashAttention", arXiv:2205.14135; Dao et al., "Flash-Decoding for long-context
// inference", 2023, for splits of the keys.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>

// ---- What the host hands over: the same fields in the same order as in host.rs ----

// A token of this step.
struct Row {
  int lane;
  int slot;             // where its key and value go; none if negative
  int pinned_start;     // pinned slots that it sees
  int pinned_end;
  int ring_start;       // slot of the oldest ring key that it sees
  int ring_len;         // ring keys that it sees; the newest is its own
  int pinned_position;  // its position as the pinned keys see it
};

// The cache of a lane in one layer; ring slots are n_sink..n_slots.
template <typename T> struct Lane {
  T *keys;    // [G, S, D]
  T *values;  // [G, S, D]
  int n_sink;
  int n_slots;
};

// Rows of one lane that are taken together.
struct Tile {
  int first;
  int n_rows;  // at most TILE
};

// A row whose attention to some slots is wanted: runs of slots, in order.
struct Watch {
  int row;
  int starts[3];
  int lens[3];
};

// How a head's softmax came out: its largest score, and the sum of exp(score - largest).
struct Total {
  float top;
  float sum;
};

template <typename T> struct Call {
  const T *q_ring;      // [R, H, D], rotated for the ring
  const T *q_pinned;    // [R, H, D], rotated for the pinned keys
  T *out;               // [R, H, D]
  const Row *rows;      // [R]
  const Lane<T> *lanes;
  const float *slopes;  // [H], or null: what a score loses per token of distance
  float *sums;          // [listed rows, H, splits, D]: weighted values of splits
  Total *parts;         // [listed rows, H, splits]
  Total *totals;        // [R, H]
  float scale;
  float cap;            // what scores are squeezed to, or 0
  int n_heads;
  int n_kv_heads;
  int head_dim;
  int n_splits;         // room for splits, at least as many as any row has
};

// ---- Numbers ----

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(__half x) { return __half2float(x); }
__device__ inline float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename T> __device__ inline T from_float(float x);
template <> __device__ inline float from_float(float x) { return x; }
template <> __device__ inline __half from_float(float x) { return __float2half_rn(x); }
template <> __device__ inline __nv_bfloat16 from_float(float x) { return __float2bfloat16_rn(x); }

constexpr float LOWEST = -3.402823466e38f;

__device__ inline int ceil_div(int a, int b) { return (a + b - 1) / b; }

// Reads 16 bytes of numbers, of which the first `n_left` exist; the rest are zeros.
template <typename T>
__device__ inline void read(const T *from, int n_left, bool is_aligned, float (&to)[16 / sizeof(T)]) {
  constexpr int N = 16 / sizeof(T);
  if (is_aligned && n_left >= N) {
    const uint4 raw = *reinterpret_cast<const uint4 *>(from);
    const T *numbers = reinterpret_cast<const T *>(&raw);
#pragma unroll
    for (int i = 0; i < N; i++) to[i] = to_float(numbers[i]);
  } else {
#pragma unroll
    for (int i = 0; i < N; i++) to[i] = i < n_left ? to_float(from[i]) : 0.0f;
  }
}

// What a head's scores lose per token of distance.
template <typename T> __device__ inline float slope_of(const Call<T> &call, int head) {
  return call.slopes == nullptr ? 0.0f : call.slopes[head];
}

// What is exponentiated, of a product of query and key.
template <typename T>
__device__ inline float score(const Call<T> &call, float product, float slope, int distance) {
  float score = product * call.scale;
  if (call.cap != 0.0f) score = call.cap * tanhf(score / call.cap);
  return score - slope * static_cast<float>(distance);
}

// Slot of the ring key that is `n` tokens behind the oldest one in sight.
template <typename T> __device__ inline int ring_slot(const Row &row, const Lane<T> &lane, int n) {
  const int slot = row.ring_start + n;
  return slot < lane.n_slots ? slot : slot - lane.n_slots + lane.n_sink;
}

// ---- Rotation ----

// Grid: [H + 2G, R]. A thread takes a pair of numbers at a time.
//
// - q: [R, H, D]; k, v: [R, G, D]
// - angles: [4, R, half]: cosines and sines at the stream index, then at the pinned position
template <typename T>
__device__ void rotate_store(const T *q, const T *k, const T *v, const float *angles,
                             const Row *rows, const Lane<T> *lanes, T *q_ring, T *q_pinned,
                             int n_heads, int n_kv_heads, int head_dim, int half, int interleaved) {
  const int r = blockIdx.y;
  const Row row = rows[r];
  int head = blockIdx.x;
  const T *from;
  T *to[2] = {nullptr, nullptr};  // rotated for the ring, and for the pinned keys
  bool is_turned = true;
  if (head < n_heads) {
    const size_t at = (static_cast<size_t>(r) * n_heads + head) * head_dim;
    from = q + at;
    to[0] = q_ring + at;
    to[1] = q_pinned + at;
  } else {
    if (row.slot < 0) return;
    head -= n_heads;
    is_turned = head < n_kv_heads;
    if (!is_turned) head -= n_kv_heads;
    const Lane<T> lane = lanes[row.lane];
    from = (is_turned ? k : v) + (static_cast<size_t>(r) * n_kv_heads + head) * head_dim;
    to[0] = (is_turned ? lane.keys : lane.values) +
            (static_cast<size_t>(head) * lane.n_slots + row.slot) * head_dim;
  }
  for (int pair = threadIdx.x; pair < head_dim / 2; pair += blockDim.x) {
    // Numbers behind the rotated ones are copied, two by two.
    const bool is_plain = !is_turned || pair >= half;
    const int low = is_plain || interleaved ? 2 * pair : pair;
    const int high = is_plain || interleaved ? low + 1 : pair + half;
    const float a = to_float(from[low]), b = to_float(from[high]);
    for (int way = 0; way < 2; way++) {
      if (to[way] == nullptr) continue;
      float x = a, y = b;
      if (!is_plain) {
        const size_t at = static_cast<size_t>(r) * half + pair;
        const size_t plane = static_cast<size_t>(gridDim.y) * half;
        const float cosine = angles[2 * way * plane + at];
        const float sine = angles[(2 * way + 1) * plane + at];
        x = a * cosine - b * sine;
        y = a * sine + b * cosine;
      }
      to[way][low] = from_float<T>(x);
      to[way][high] = from_float<T>(y);
    }
  }
}

// ---- Entry points ----

#include "rows.cuh"
#include "tiles.cuh"

#define FOR_TYPE(NAME, T, C64, C128, C256)                                                        \
  extern "C" __global__ void rotate_store_##NAME(                                                 \
      const T *q, const T *k, const T *v, const float *angles, const Row *rows,                   \
      const Lane<T> *lanes, T *q_ring, T *q_pinned, int n_heads, int n_kv_heads, int head_dim,    \
      int half, int interleaved) {                                                                \
    rotate_store<T>(q, k, v, angles, rows, lanes, q_ring, q_pinned, n_heads, n_kv_heads,          \
                    head_dim, half, interleaved);                                                 \
  }                                                                                               \
  extern "C" __global__ void join_rows_##NAME(Call<T> call, const int *listed) {                  \
    join_rows<T>(call, listed);                                                                   \
  }                                                                                               \
  extern "C" __global__ void add_shares_##NAME(Call<T> call, const Watch *watches, int n_watched, \
                                               float *sums) {                                     \
    add_shares<T>(call, watches, n_watched, sums);                                                \
  }                                                                                               \
  FOR_WIDTH(NAME, T, 64, C64)                                                                     \
  FOR_WIDTH(NAME, T, 128, C128)                                                                   \
  FOR_WIDTH(NAME, T, 256, C256)

// For heads up to WIDTH wide.
#define FOR_WIDTH(NAME, T, WIDTH, N_CHUNKS)                                                       \
  extern "C" __global__ void __launch_bounds__(N_THREADS)                                         \
      attend_rows_##NAME##_##WIDTH(Call<T> call, const int *listed) {                             \
    attend_rows<T, N_CHUNKS>(call, listed);                                                       \
  }

// For heads of exactly D. Three blocks of up to 128 fit a multiprocessor of an H100 side by side, if
// they keep to a third of its registers.
#define FOR_TILE(NAME, T, D)                                                                      \
  extern "C" __global__ void __launch_bounds__(N_THREADS, D <= 128 ? 3 : 2)                       \
      attend_tiles_##NAME##_##D(Call<T> call, const Tile *tiles) {                                \
    attend_tiles<T, D>(call, tiles);                                                              \
  }

#define FOR_TILES(NAME, T)                                                                        \
  FOR_TILE(NAME, T, 64)                                                                           \
  FOR_TILE(NAME, T, 80)                                                                           \
  FOR_TILE(NAME, T, 96)                                                                           \
  FOR_TILE(NAME, T, 128)                                                                          \
  FOR_TILE(NAME, T, 256)

FOR_TYPE(f32, float, 2, 4, 8)
FOR_TYPE(f16, __half, 1, 2, 4)
FOR_TYPE(bf16, __nv_bfloat16, 1, 2, 4)
FOR_TILES(f16, __half)
FOR_TILES(bf16, __nv_bfloat16)
