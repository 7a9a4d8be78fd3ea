// Runs the CUDA kernels of attention on the CPU and compares them with a slow definition, written
// from what ARCHITECTURE.md says of the streaming cache: what a token sees, and at which distance.
//
// Slots that no token of a step sees hold no numbers, so a kernel that reads one gives itself away.

#include KERNELS

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace {

// How far a number may be from the definition, relative to numbers of size 1. The kernels' own sums
// are f32: some hundred terms of 6e-8 each. Rotated keys, queries and results are rounded to the
// type, by 2^-11 and 2^-8; a score is off by about as much, and a weight with it.
template <typename T> constexpr double TOLERANCE = 2e-5;
template <> constexpr double TOLERANCE<__half> = 2e-3;
template <> constexpr double TOLERANCE<__nv_bfloat16> = 2e-2;

int n_passed = 0, n_failed = 0;

void check(bool is_right, const std::string &what) {
  (is_right ? n_passed : n_failed)++;
  if (!is_right) std::printf("FAILED %s\n", what.c_str());
}

// What all lanes share.
struct Model {
  int n_heads, n_kv_heads, head_dim;
  int n_rotated;  // numbers of a head that are rotated, in pairs
  bool is_interleaved, has_slopes;
  double cap;
};

// A stream that was fed, and the tokens that are fed now.
struct Stream {
  int n_sink, n_window, n_chunk;
  int n_vacant;     // pinned slots before the prefix, which are empty
  long next;        // stream index of the first token that is fed now
  int n_rows;       // tokens that are fed now; below n_sink they are pinned
  long first;       // index of the first token that was put into the ring
  bool is_native;   // a layer with a window of its own, which pinned tokens leave as all others do

  int n_ring() const { return n_window - 1 + n_chunk; }
  int n_slots() const { return n_sink + n_ring(); }
  // Token j >= S lives in slot S + (j-S) % (W-1+C).
  int slot(long j) const { return static_cast<int>(j < n_sink ? j : n_sink + (j - n_sink) % n_ring()); }
  bool sees(long i, long j) const {
    if (j > i) return false;
    const bool is_near = i - n_window < j;
    return j < n_sink ? j >= n_vacant && (!is_native || is_near) : j >= first && is_near;
  }
  // The place from which query i looks at pinned keys.
  long clamped(long i) const { return std::min(i, static_cast<long>(n_sink + n_window - 1)); }
  long distance(long i, long j) const { return (j < n_sink ? clamped(i) : i) - j; }
  std::vector<long> seen(long i) const {
    std::vector<long> seen;
    for (long j = 0; j < n_sink; j++) if (sees(i, j)) seen.push_back(j);
    for (long j = std::max<long>(n_sink, i - n_window); j <= i; j++) if (sees(i, j)) seen.push_back(j);
    return seen;
  }
};

using Numbers = std::vector<double>;

struct Token {
  Numbers q, k, v;  // not rotated
  Numbers key;      // rotated at its own index
};

// Turns pairs of numbers of every head by `position` times their frequency.
Numbers rotate(const Model &m, const Numbers &x, long position) {
  Numbers out = x;
  for (std::size_t head = 0; head < x.size(); head += static_cast<std::size_t>(m.head_dim)) {
    for (int pair = 0; pair < m.n_rotated / 2; pair++) {
      const double angle = static_cast<double>(position) * std::pow(1e4, -2.0 * pair / m.n_rotated);
      const std::size_t a = head + static_cast<std::size_t>(m.is_interleaved ? 2 * pair : pair);
      const std::size_t b = m.is_interleaved ? a + 1 : a + static_cast<std::size_t>(m.n_rotated / 2);
      out[a] = x[a] * std::cos(angle) - x[b] * std::sin(angle);
      out[b] = x[a] * std::sin(angle) + x[b] * std::cos(angle);
    }
  }
  return out;
}

float slope(int head) { return std::exp2(-static_cast<float>(head + 2) / 2); }

struct Expected {
  Numbers out;                      // [H, D]
  std::map<long, double> shares;    // what the token gives to others, over all heads
};

Expected define(const Model &m, const Stream &s, std::map<long, Token> &tokens, long i) {
  Expected expected{Numbers(tokens[i].q.size()), {}};
  const Numbers near = rotate(m, tokens[i].q, i), far = rotate(m, tokens[i].q, s.clamped(i));
  const std::vector<long> seen = s.seen(i);
  const int d = m.head_dim;
  for (int head = 0; head < m.n_heads; head++) {
    const int kv = head / (m.n_heads / m.n_kv_heads);
    Numbers scores;
    for (long j : seen) {
      const Numbers &key = tokens[j].key, &query = j < s.n_sink ? far : near;
      double score = 0;
      for (int c = 0; c < d; c++) score += query[head * d + c] * key[kv * d + c];
      score /= std::sqrt(static_cast<double>(d));
      if (m.cap != 0) score = m.cap * std::tanh(score / m.cap);
      if (m.has_slopes) score -= slope(head) * static_cast<double>(s.distance(i, j));
      scores.push_back(score);
    }
    double top = -1e300, sum = 0;
    for (double score : scores) top = std::max(top, score);
    for (double &score : scores) sum += score = std::exp(score - top);
    for (std::size_t n = 0; n < seen.size(); n++) {
      const double weight = scores[n] / sum;
      expected.shares[seen[n]] += weight;
      for (int c = 0; c < d; c++) expected.out[head * d + c] += weight * tokens[seen[n]].v[kv * d + c];
    }
  }
  return expected;
}

template <typename T> double rounded(double x) { return to_float(from_float<T>(static_cast<float>(x))); }

// A stream with the tokens of its history, and its cache as it is before the step.
template <typename T> struct LaneOf {
  Stream s;
  std::map<long, Token> tokens;
  std::vector<T> keys, values;

  LaneOf(const Model &m, const Stream &stream, std::mt19937 &random) : s(stream) {
    std::uniform_real_distribution<double> numbers(-1.7, 1.7);
    const auto draw = [&](int n) {
      Numbers x(static_cast<std::size_t>(n * m.head_dim));
      for (double &number : x) number = rounded<T>(numbers(random));
      return x;
    };
    const T hole = from_float<T>(NAN);
    keys.assign(static_cast<std::size_t>(m.n_kv_heads * s.n_slots() * m.head_dim), hole);
    values = keys;
    for (int r = 0; r < s.n_rows; r++) {
      for (long j : s.seen(s.next + r)) {
        if (tokens.contains(j)) continue;
        Token &token = tokens[j] = {draw(m.n_heads), draw(m.n_kv_heads), draw(m.n_kv_heads), {}};
        token.key = rotate(m, token.k, j);
        if (j >= s.next && j < s.next + s.n_rows) continue;  // is fed now
        for (int kv = 0; kv < m.n_kv_heads; kv++) {
          for (int c = 0; c < m.head_dim; c++) {
            const auto at = static_cast<std::size_t>((kv * s.n_slots() + s.slot(j)) * m.head_dim + c);
            keys[at] = from_float<T>(static_cast<float>(token.key[kv * m.head_dim + c]));
            values[at] = from_float<T>(static_cast<float>(token.v[kv * m.head_dim + c]));
          }
        }
      }
    }
  }
};

// What the host knows of a token.
Row row_of(const Stream &s, int lane, long i) {
  const std::vector<long> seen = s.seen(i);
  const auto n_pinned = std::count_if(seen.begin(), seen.end(), [&](long j) { return j < s.n_sink; });
  const auto n_ring = static_cast<long>(seen.size()) - n_pinned;
  Row row{lane, s.slot(i), 0, 0, s.n_sink, static_cast<int>(n_ring), static_cast<int>(s.clamped(i))};
  if (n_pinned > 0) {
    row.pinned_start = static_cast<int>(seen.front());
    row.pinned_end = row.pinned_start + static_cast<int>(n_pinned);
  }
  if (n_ring > 0) row.ring_start = s.slot(seen[static_cast<std::size_t>(n_pinned)]);
  return row;
}

template <typename T> struct Result {
  std::vector<T> q_ring, q_pinned, by_rows, by_tiles, keys, values;
  std::vector<float> shares;
  int n_watched = 0;
};

constexpr int N_IDLE = 1;  // rows that store nothing and see nothing, as a step of fixed size has

// Calls the kernel of this type: `name(rotate_store)(...)`.
#define BY_TYPE(NAME)                                                                             \
  [&](auto... of) {                                                                               \
    if constexpr (std::is_same_v<T, float>) NAME##_f32(of...);                                    \
    else if constexpr (std::is_same_v<T, __half>) NAME##_f16(of...);                              \
    else NAME##_bf16(of...);                                                                      \
  }
#define BY_WIDTH(NAME, WIDTH)                                                                     \
  [&](auto... of) {                                                                               \
    if constexpr (std::is_same_v<T, float>) NAME##_f32_##WIDTH(of...);                            \
    else if constexpr (std::is_same_v<T, __half>) NAME##_f16_##WIDTH(of...);                      \
    else NAME##_bf16_##WIDTH(of...);                                                              \
  }
#define TILES_OF(D)                                                                               \
  [&](auto... of) {                                                                               \
    if constexpr (std::is_same_v<T, __half>) attend_tiles_f16_##D(of...);                         \
    if constexpr (std::is_same_v<T, __nv_bfloat16>) attend_tiles_bf16_##D(of...);                 \
  }

bool has_tiles(int d) { return d == 64 || d == 80 || d == 96 || d == 128 || d == 256; }

// One step of all `lanes`, in copies of their caches. Tiles begin `cut` rows into each lane, too.
template <typename T>
Result<T> step(const Model &m, std::vector<LaneOf<T>> lanes, bool is_reversed, int cut) {
  const int d = m.head_dim, half = m.n_rotated / 2;
  std::vector<Row> rows;
  std::vector<Lane<T>> table;
  std::vector<Tile> tiles;
  std::vector<Watch> watches;
  std::vector<int> listed;
  std::vector<T> q, k, v;
  std::vector<float> angles[4];
  Result<T> result;
  const auto put = [](std::vector<T> &to, const Numbers &from) {
    for (double x : from) to.push_back(from_float<T>(static_cast<float>(x)));
  };
  for (int l = 0; l < static_cast<int>(lanes.size()); l++) {
    auto &[s, tokens, keys, values] = lanes[l];
    table.push_back({keys.data(), values.data(), s.n_sink, s.n_slots()});
    for (int r = 0; r < s.n_rows; r++) {
      const long i = s.next + r;
      put(q, tokens[i].q);
      put(k, tokens[i].k);
      put(v, tokens[i].v);
      for (int pair = 0; pair < half; pair++) {
        for (int way = 0; way < 2; way++) {
          const double frequency = std::pow(1e4, -2.0 * pair / m.n_rotated);
          const double angle = static_cast<double>(way == 0 ? i : s.clamped(i)) * frequency;
          angles[2 * way].push_back(static_cast<float>(std::cos(angle)));
          angles[2 * way + 1].push_back(static_cast<float>(std::sin(angle)));
        }
      }
      // Watched: some pinned slots, the last slots of the ring and its first ones.
      const int end = s.n_slots();
      watches.push_back({static_cast<int>(rows.size()), {s.n_sink / 2, end - 2, s.n_sink},
                         {s.n_sink - s.n_sink / 2, 2, std::min(3, s.n_ring() - 2)}});
      rows.push_back(row_of(s, l, i));
    }
    const int begin = static_cast<int>(rows.size()) - s.n_rows;
    for (int at = 0; at < s.n_rows;) {
      const int n = std::min(at == 0 && cut > 0 ? cut : TILE, s.n_rows - at);
      tiles.push_back({begin + at, n});
      at += n;
    }
  }
  for (int n = 0; n < N_IDLE; n++) {
    rows.push_back({0, -1, 0, 0, lanes[0].s.n_sink, 0, 0});
    put(q, Numbers(static_cast<std::size_t>(m.n_heads * d)));
    put(k, Numbers(static_cast<std::size_t>(m.n_kv_heads * d)));
    put(v, Numbers(static_cast<std::size_t>(m.n_kv_heads * d)));
    for (auto &plane : angles) plane.insert(plane.end(), static_cast<std::size_t>(half), 0.0f);
  }
  const auto n_rows = static_cast<unsigned>(rows.size());
  for (unsigned r = 0; r < n_rows; r++) listed.push_back(static_cast<int>(n_rows - 1 - r));
  std::vector<float> all_angles;
  for (const auto &plane : angles) all_angles.insert(all_angles.end(), plane.begin(), plane.end());

  int n_splits = 0;
  for (const LaneOf<T> &lane : lanes) {
    n_splits = std::max(n_splits, ceil_div(lane.s.n_sink, SPLIT) + ceil_div(lane.s.n_window, SPLIT));
  }
  const std::vector<T> holes(q.size(), from_float<T>(NAN));
  result.q_ring = result.q_pinned = result.by_rows = result.by_tiles = holes;
  std::vector<float> slopes;
  for (int head = 0; head < m.n_heads; head++) slopes.push_back(slope(head));
  const std::size_t n_parts = static_cast<std::size_t>(m.n_heads * n_splits) * n_rows;
  std::vector<float> sums(n_parts * static_cast<std::size_t>(d), NAN);
  std::vector<Total> parts(n_parts, {NAN, NAN}), totals(q.size() / static_cast<std::size_t>(d), {NAN, NAN});

  const auto heads = static_cast<unsigned>(m.n_heads), kv_heads = static_cast<unsigned>(m.n_kv_heads);
  emulator::launch({heads + 2 * kv_heads, n_rows}, 32, 0, is_reversed, [&] {
    BY_TYPE(rotate_store)(q.data(), k.data(), v.data(), all_angles.data(), rows.data(), table.data(),
                          result.q_ring.data(), result.q_pinned.data(), m.n_heads, m.n_kv_heads, d,
                          half, m.is_interleaved ? 1 : 0);
  });
  Call<T> call{result.q_ring.data(), result.q_pinned.data(), result.by_rows.data(), rows.data(),
               table.data(), m.has_slopes ? slopes.data() : nullptr, sums.data(), parts.data(),
               totals.data(), 1.0f / std::sqrt(static_cast<float>(d)), static_cast<float>(m.cap),
               m.n_heads, m.n_kv_heads, d, n_splits};
  const unsigned n_blocks = kv_heads * static_cast<unsigned>(ceil_div(m.n_heads / m.n_kv_heads, HEADS));
  emulator::launch({static_cast<unsigned>(n_splits), n_blocks, n_rows}, N_THREADS, 0, is_reversed, [&] {
    if (d <= 64) BY_WIDTH(attend_rows, 64)(call, listed.data());
    else if (d <= 128) BY_WIDTH(attend_rows, 128)(call, listed.data());
    else BY_WIDTH(attend_rows, 256)(call, listed.data());
  });
  emulator::launch({heads, n_rows}, 64, 0, is_reversed, [&] { BY_TYPE(join_rows)(call, listed.data()); });
  for (const Watch &watch : watches) {
    result.n_watched = std::max(result.n_watched, watch.lens[0] + watch.lens[1] + watch.lens[2]);
  }
  // Layers add to what there is.
  result.shares.assign(watches.size() * static_cast<std::size_t>(result.n_watched), 1.0f);
  emulator::launch({static_cast<unsigned>(ceil_div(result.n_watched, 4)),
                    static_cast<unsigned>(watches.size())}, N_THREADS, 0, is_reversed, [&] {
    BY_TYPE(add_shares)(call, watches.data(), result.n_watched, result.shares.data());
  });
  call.out = result.by_tiles.data();
  // As host.rs lends it.
  const std::size_t n_tile_bytes = static_cast<std::size_t>(3 * TILE * (d + 8) * 2 + TILE * (TILE + 8) * 4);
  if (!std::is_same_v<T, float> && has_tiles(d)) {
    emulator::launch({static_cast<unsigned>(tiles.size()), heads}, N_THREADS, n_tile_bytes, is_reversed, [&] {
      if (d == 64) TILES_OF(64)(call, tiles.data());
      if (d == 80) TILES_OF(80)(call, tiles.data());
      if (d == 96) TILES_OF(96)(call, tiles.data());
      if (d == 128) TILES_OF(128)(call, tiles.data());
      if (d == 256) TILES_OF(256)(call, tiles.data());
    });
  }
  for (const LaneOf<T> &lane : lanes) {
    result.keys.insert(result.keys.end(), lane.keys.begin(), lane.keys.end());
    result.values.insert(result.values.end(), lane.values.begin(), lane.values.end());
  }
  return result;
}

// The largest error, infinite where there is no number.
struct Gap {
  double largest = 0;
  void add(double found, double expected) {
    const double gap = std::abs(found - expected) / std::max(1.0, std::abs(expected));
    largest = std::max(largest, gap == gap ? gap : INFINITY);
  }
};

template <typename T> bool are_same(const std::vector<T> &a, const std::vector<T> &b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

template <typename T>
void run(const std::string &name, const Model &m, const std::vector<Stream> &streams, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<LaneOf<T>> lanes;
  for (const Stream &s : streams) lanes.emplace_back(m, s, random);
  const Result<T> result = step(m, lanes, false, 0);
  const bool has_tile_kernel = !std::is_same_v<T, float> && has_tiles(m.head_dim);

  Gap rotated, stored, by_rows, by_tiles, shares;
  std::size_t r = 0, lane_at = 0;
  const auto width = static_cast<std::size_t>(m.n_heads * m.head_dim);
  for (LaneOf<T> &lane : lanes) {
    const Stream &s = lane.s;
    for (long i = s.next; i < s.next + s.n_rows; i++, r++) {
      const Numbers near = rotate(m, lane.tokens[i].q, i), far = rotate(m, lane.tokens[i].q, s.clamped(i));
      const Numbers &key = lane.tokens[i].key;
      Expected expected = define(m, s, lane.tokens, i);
      for (std::size_t c = 0; c < width; c++) {
        rotated.add(to_float(result.q_ring[r * width + c]), near[c]);
        rotated.add(to_float(result.q_pinned[r * width + c]), far[c]);
        by_rows.add(to_float(result.by_rows[r * width + c]), expected.out[c]);
        if (has_tile_kernel) by_tiles.add(to_float(result.by_tiles[r * width + c]), expected.out[c]);
      }
      for (int n = 0; n < m.n_kv_heads * m.head_dim; n++) {
        const int kv = n / m.head_dim, c = n % m.head_dim;
        const auto at = lane_at + static_cast<std::size_t>((kv * s.n_slots() + s.slot(i)) * m.head_dim + c);
        stored.add(to_float(result.keys[at]), key[static_cast<std::size_t>(n)]);
        stored.add(to_float(result.values[at]), lane.tokens[i].v[static_cast<std::size_t>(n)]);
      }
      // The same slots as in `step`; which tokens live there is found by looking at all.
      std::vector<int> watched;
      for (int slot = s.n_sink / 2; slot < s.n_sink; slot++) watched.push_back(slot);
      for (int slot : {s.n_slots() - 2, s.n_slots() - 1}) watched.push_back(slot);
      for (int n = 0; n < std::min(3, s.n_ring() - 2); n++) watched.push_back(s.n_sink + n);
      for (std::size_t n = 0; n < static_cast<std::size_t>(result.n_watched); n++) {
        double share = 1;
        for (const auto &[j, given] : expected.shares) {
          if (n < watched.size() && s.slot(j) == watched[n]) share += given;
        }
        shares.add(result.shares[r * static_cast<std::size_t>(result.n_watched) + n], share);
      }
    }
    lane_at += lane.keys.size();
  }
  for (int idle = 0; idle < N_IDLE; idle++, r++) {
    for (std::size_t c = 0; c < width; c++) by_rows.add(to_float(result.by_rows[r * width + c]), 0);
  }
  const auto within = [&](const char *what, const Gap &gap) {
    check(gap.largest <= TOLERANCE<T>, name + ": " + what + ", off by " + std::to_string(gap.largest));
  };
  within("rotation", rotated);
  within("what is stored", stored);
  within("attention by rows", by_rows);
  within("shares", shares);
  if (has_tile_kernel) within("attention by tiles", by_tiles);

  const Result<T> reversed = step(m, lanes, true, 5);
  check(are_same(result.by_rows, reversed.by_rows) && are_same(result.shares, reversed.shares) &&
            are_same(result.keys, reversed.keys),
        name + ": the order of threads matters");
  check(are_same(result.by_tiles, reversed.by_tiles), name + ": it matters how tiles are cut");
  if (lanes.size() > 1) {
    std::size_t at = 0;
    bool are_rows_same = true, are_tiles_same = true;
    for (const LaneOf<T> &lane : lanes) {
      const Result<T> alone = step<T>(m, {lane}, false, 0);
      const std::size_t n = static_cast<std::size_t>(lane.s.n_rows) * width;
      const auto is_part = [&](const std::vector<T> &part, const std::vector<T> &whole) {
        return std::memcmp(part.data(), whole.data() + at, n * sizeof(T)) == 0;
      };
      are_rows_same = are_rows_same && is_part(alone.by_rows, result.by_rows);
      are_tiles_same = are_tiles_same && is_part(alone.by_tiles, result.by_tiles);
      at += n;
    }
    check(are_rows_same, name + ": rows know other lanes");
    check(are_tiles_same, name + ": tiles know other lanes");
  }
}

// ---- Cases ----

// A stream somewhere: just begun, not yet full, or far along with a ring that has turned.
Stream some_stream(std::mt19937 &random, int n_rows) {
  const auto up_to = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n + 1)); };
  Stream s{};
  s.n_sink = up_to(2) == 0 ? up_to(150) : up_to(6);
  s.n_window = 1 + (up_to(2) == 0 ? up_to(300) : up_to(40));
  s.n_chunk = std::max(3, n_rows + up_to(20));
  s.is_native = up_to(4) == 0;
  s.n_vacant = up_to(s.n_sink);
  s.first = s.n_sink + (up_to(3) == 0 ? 4'000'000 + up_to(500) : 0);
  s.n_rows = n_rows;
  if (up_to(5) == 0 && s.n_vacant < s.n_sink) {
    // A prefix is pinned, in one go or at last.
    s.next = s.n_vacant + up_to(s.n_sink - s.n_vacant - 1);
    s.n_rows = std::min<int>(n_rows, static_cast<int>(s.n_sink - s.next));
  } else {
    s.next = s.first + up_to(3 * s.n_ring());
  }
  return s;
}

template <typename T> void run_all(const std::string &type) {
  std::mt19937 random(20230929);
  const auto up_to = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n + 1)); };
  struct Heads { int n_heads, n_kv_heads; };
  constexpr Heads HEADS_OF[] = {{2, 2}, {4, 1}, {6, 2}, {3, 3}, {11, 1}, {1, 1}, {9, 3}};
  int number = 0;
  for (int d : {64, 80, 96, 128, 256, 8, 16, 32, 2, 10, 6, 64, 128, 20, 250}) {
    Model m{};
    const Heads heads = HEADS_OF[number % 7];
    m.n_heads = heads.n_heads;
    m.n_kv_heads = heads.n_kv_heads;
    m.head_dim = d;
    const int way = number % 4;
    m.n_rotated = way == 0 ? d : way == 1 ? d / 4 * 2 : way == 2 ? d : 0;
    m.is_interleaved = number % 3 == 1;
    m.has_slopes = way == 3;
    m.cap = number % 5 == 2 ? 1.5 : 0;
    // Heads of 64 to 256 with many rows in one of them, which cross the border of a tile.
    std::vector<Stream> streams;
    const int n_lanes = 1 + number % 4;
    for (int l = 0; l < n_lanes; l++) {
      const bool is_long = l == number % n_lanes && has_tiles(d);
      streams.push_back(some_stream(random, is_long ? 40 + up_to(30) : 1 + up_to(l == 0 ? 0 : 6)));
    }
    const std::string name = type + " case " + std::to_string(number) + " D=" + std::to_string(d);
    run<T>(name, m, streams, static_cast<unsigned>(random()));
    number++;
  }
  // The window's edge, written out: one that has just filled, one that has just begun to move.
  for (long next : {9L, 10L, 11L, 12L, 26L, 27L}) {
    const Stream s{2, 8, 9, 0, next, 9, 2, false};
    run<T>(type + " edge at " + std::to_string(next), {2, 1, 64, 64, false, false, 0}, {s}, 1);
  }
}

}  // namespace

int main() {
  run_all<float>("f32");
  run_all<__half>("f16");
  run_all<__nv_bfloat16>("bf16");
  std::printf("%d passed, %d failed\n", n_passed, n_failed);
  return n_failed == 0 ? 0 : 1;
}
