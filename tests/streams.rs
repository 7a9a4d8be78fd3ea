//! What a stream promises, on a tiny golden model: forks leave no trace, indices do not matter,
//! pinned tokens can be replaced.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use longsum::cache::{CacheError, KvCache, Layout};
use longsum::load::Folder;
use longsum::measure::{
    Attention, RandomWeights, STORAGES, Scored, losses, memory, perplexity, time_of_reading,
    time_of_streams, time_per_token,
};
use longsum::model::{Decoder, LanguageModel, ModelError, Want};
use longsum::stream::{Decoding, Finish, Limits, Stream};
use proptest::prelude::*;

pub const FAMILIES: [&str; 14] = [
    "llama2",
    "llama3",
    "mistral",
    "qwen2",
    "qwen3",
    "smollm3",
    "phi3",
    "phi3_longrope",
    "gemma2",
    "gemma3",
    "pythia",
    "falcon7b",
    "falcon40b",
    "mpt",
];

pub fn decoder(family: &str) -> Decoder {
    shallow(family, usize::MAX)
}

/// The first layers of a golden model.
fn shallow(family: &str, n_layers: usize) -> Decoder {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(family);
    let folder = Folder::open(&dir, DType::F32, &Device::Cpu).unwrap();
    let mut spec = folder.spec.clone();
    spec.n_layers = spec.n_layers.min(n_layers);
    spec.sights.truncate(spec.n_layers);
    Decoder::new(spec, &folder, DType::F32, &Device::Cpu).unwrap()
}

/// The pinned slots of all keys and values, as bytes; of layers with a window of their own, too.
fn pinned(decoder: &Decoder, cache: &KvCache) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    cache.export(&mut |bytes| pieces.push(bytes.to_vec())).unwrap();
    let (n_heads, n_sink) = (decoder.spec().n_kv_heads, cache.layout().n_sink());
    let of = |tensor: &Vec<u8>| {
        let heads = tensor.chunks_exact(tensor.len() / n_heads);
        let n_bytes = n_sink * decoder.spec().head_dim * size_of::<f32>();
        heads.flat_map(|head| head[..n_bytes].to_vec()).collect()
    };
    pieces.iter().skip(4).map(of).collect()
}

fn limits(n_max: usize, stops: &[u32]) -> Limits<'_> {
    Limits { n_max, stops, ..Limits::default() }
}

/// 96 tokens, the same in every run.
pub fn ids(n: usize) -> Vec<u32> {
    (0..n as u32).map(|i| (i * 37 + i * i * 11 + 5) % 96).collect()
}

pub fn all_logits(decoder: &Decoder, ids: &[u32], cache: &mut KvCache) -> Tensor {
    let mut rest = ids;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(cache.fit(rest.len()));
        parts.push(decoder.forward(now, cache, Want::All).unwrap());
        rest = later;
    }
    Tensor::cat(&parts, 0).unwrap()
}

fn distance(a: &Tensor, b: &Tensor) -> f32 {
    (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
}

#[test]
fn a_stream_far_away_gives_the_numbers_of_one_at_the_start() {
    for family in FAMILIES {
        let decoder = decoder(family);
        for n_sink in [0, 4] {
            let layout = Layout::new(n_sink, 12, 8).unwrap();
            // Past the first full window both streams look at their sinks from the same place.
            let ids = ids(90);
            let run = |offset| {
                let mut cache = decoder.new_cache(layout).unwrap();
                cache.begin_at(n_sink, offset);
                all_logits(&decoder, &ids, &mut cache)
            };
            let (near, far) = (run(1_000), run(4_000_000));
            let gap = distance(&near, &far);
            assert!(gap < 1e-3, "{family}, {n_sink} sinks: {gap}");
        }
    }
}

#[test]
fn a_fork_leaves_no_trace() {
    let decoder = decoder("llama3");
    let layout = Layout::new(4, 12, 8).unwrap();
    let ids = ids(80);
    let mut plain = Stream::new(&decoder, layout).unwrap();
    let mut forked = Stream::new(&decoder, layout).unwrap();
    let mut rows = [Vec::new(), Vec::new()];
    plain.start(4).unwrap();
    forked.start(4).unwrap();
    for part in ids.chunks(10) {
        plain.score(part, |t| rows[0].push(t)).unwrap();
        forked.score(part, |t| rows[1].push(t)).unwrap();
        forked.save().unwrap();
        let reply = forked
            .generate(&[1, 2, 3], limits(30, &[]), &Decoding::default(), &mut |_| {})
            .unwrap();
        assert!(!reply.ids.is_empty());
        forked.begin(&[7, 8, 9]).unwrap();
        forked.restore().unwrap();
    }
    let [a, b] = rows.map(|r| Tensor::cat(&r, 0).unwrap());
    assert_eq!(a.to_vec2::<f32>().unwrap(), b.to_vec2::<f32>().unwrap());
}

#[test]
fn a_prefix_pinned_again_changes_nothing() {
    let layout = Layout::new(6, 12, 8).unwrap();
    let ids = ids(60);
    for (family, n_pinned) in FAMILIES.iter().flat_map(|family| [(family, 6), (family, 3)]) {
        let decoder = decoder(family);
        let (prefix, rest) = ids.split_at(n_pinned);
        let (before, after) = rest.split_at(20);
        let run = |again: bool| {
            let mut stream = Stream::new(&decoder, layout).unwrap();
            stream.begin(prefix).unwrap();
            stream.feed(before).unwrap();
            if again {
                stream.repin(&ids[40..40 + n_pinned]).unwrap();
                stream.repin(prefix).unwrap();
            }
            let mut rows = Vec::new();
            stream.score(after, |t| rows.push(t)).unwrap();
            Tensor::cat(&rows, 0).unwrap().to_vec2::<f32>().unwrap()
        };
        assert_eq!(run(false), run(true));
    }
}

#[test]
fn a_short_prefix_in_a_large_pinned_region_is_a_stream_with_fewer_sinks() {
    let decoder = decoder("llama2");
    let ids = ids(70);
    let run = |n_sink| {
        let mut cache = decoder.new_cache(Layout::new(n_sink, 12, 8).unwrap()).unwrap();
        cache.begin(3).unwrap();
        all_logits(&decoder, &ids, &mut cache)
    };
    let gap = distance(&run(3), &run(9));
    assert!(gap < 1e-4, "{gap}");
}

#[test]
fn what_a_stream_cannot_take_is_refused_before_anything_changes() {
    let decoder = decoder("llama2");
    let mut cache = decoder.new_cache(Layout::new(2, 4, 3).unwrap()).unwrap();
    let n_slots = cache.n_slots();
    assert!(matches!(
        decoder.forward(&ids(4), &mut cache, Want::Last),
        Err(ModelError::Cache(CacheError::ChunkTooLong { n_tokens: 4, .. }))
    ));
    assert!(matches!(
        decoder.forward(&[96], &mut cache, Want::Last),
        Err(ModelError::UnknownToken { id: 96, n_vocab: 96 })
    ));
    assert!(matches!(cache.begin(3), Err(CacheError::PrefixTooLong { n_tokens: 3, n_sink: 2 })));
    assert!(matches!(decoder.forward(&[], &mut cache, Want::Last), Err(ModelError::Cache(_))));
    assert_eq!((cache.next_index(), cache.n_slots()), (0, n_slots));
}

#[test]
fn the_same_seed_draws_the_same_reply() {
    let decoder = decoder("llama3");
    let draw = |seed| {
        let mut stream = Stream::new(&decoder, Layout::new(4, 24, 8).unwrap()).unwrap();
        let decoding = Decoding { temperature: 1.0, seed, ..Decoding::default() };
        stream.generate(&ids(10), limits(40, &[]), &decoding, &mut |_| {}).unwrap()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    let stops: Vec<u32> = (0..96).collect();
    let mut stream = Stream::new(&decoder, Layout::new(4, 24, 8).unwrap()).unwrap();
    let reply =
        stream.generate(&ids(10), limits(40, &stops), &Decoding::default(), &mut |_| {}).unwrap();
    assert_eq!((reply.ids.len(), reply.finish), (0, Finish::Stop));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However tokens are cut into chunks, the numbers are the same, and the cache never grows.
    #[test]
    fn chunks_do_not_matter(
        family in prop::sample::select(&FAMILIES[..]),
        n_sink in 0usize..6, n_window in 1usize..24, n_chunk in 1usize..20, n in 1usize..70,
    ) {
        let decoder = decoder(family);
        let ids = ids(n);
        let mut one = decoder.new_cache(Layout::new(n_sink, n_window, 1).unwrap()).unwrap();
        let mut many = decoder.new_cache(Layout::new(n_sink, n_window, n_chunk).unwrap()).unwrap();
        let bytes = many.n_bytes();
        let a = all_logits(&decoder, &ids, &mut one);
        let b = all_logits(&decoder, &ids, &mut many);
        prop_assert!(distance(&a, &b) < 1e-3);
        prop_assert_eq!(many.n_bytes(), bytes);
        prop_assert_eq!(many.n_slots(), n_sink + n_window - 1 + n_chunk);
    }

    /// What comes later changes no bit of what came before.
    #[test]
    fn the_future_has_no_effect(
        family in prop::sample::select(&FAMILIES[..]),
        n_sink in 0usize..6, n_window in 1usize..24, n_chunk in 1usize..20, n in 1usize..60,
    ) {
        let decoder = decoder(family);
        let layout = Layout::new(n_sink, n_window, n_chunk).unwrap();
        let (one, mut other) = (ids(60), ids(60));
        other[n..].iter_mut().for_each(|id| *id = 95 - *id);
        let rows = |ids: &[u32]| {
            let mut cache = decoder.new_cache(layout).unwrap();
            all_logits(&decoder, ids, &mut cache).narrow(0, 0, n).unwrap().to_vec2::<f32>().unwrap()
        };
        prop_assert!(rows(&one) == rows(&other), "{}", family);
    }

    /// Once written, pinned slots hold the same bits for ever.
    #[test]
    fn pinned_slots_never_change(
        family in prop::sample::select(&FAMILIES[..]),
        n_sink in 1usize..6, n_window in 1usize..24, n_chunk in 1usize..20, n in 1usize..90,
    ) {
        let decoder = decoder(family);
        let mut cache = decoder.new_cache(Layout::new(n_sink, n_window, n_chunk).unwrap()).unwrap();
        cache.begin(n_sink).unwrap();
        let ids = ids(n_sink + n);
        all_logits(&decoder, &ids[..n_sink], &mut cache);
        let before = pinned(&decoder, &cache);
        prop_assert!(before.iter().flatten().any(|&byte| byte != 0));
        all_logits(&decoder, &ids[n_sink..], &mut cache);
        prop_assert!(before == pinned(&decoder, &cache), "{}", family);
    }

    /// With one layer, keys depend on their tokens alone: a stream is then the same as a text of its
    /// sinks and its window, read anew for every token. Without sinks that is a plain window.
    #[test]
    fn one_layer_is_a_text_read_anew(
        family in prop::sample::select(&FAMILIES[..]).prop_filter("has a window of its own", |f| !f.starts_with("gemma")),
        n_sink in 0usize..6, n_window in 1usize..24, n_chunk in 1usize..20, n in 1usize..70,
    ) {
        let decoder = shallow(family, 1);
        let ids = ids(n_sink + n);
        let mut cache = decoder.new_cache(Layout::new(n_sink, n_window, n_chunk).unwrap()).unwrap();
        let stream = all_logits(&decoder, &ids, &mut cache);
        let last = ids.len() - 1;
        for i in [last, last / 2, 0] {
            let kept = |j: &usize| *j < n_sink || i < *j + n_window;
            let text: Vec<u32> = (0..=i).filter(kept).map(|j| ids[j]).collect();
            let mut dense = decoder.new_cache(Layout::new(0, text.len(), 128).unwrap()).unwrap();
            let anew = all_logits(&decoder, &text, &mut dense);
            let (ours, theirs) = (stream.narrow(0, i, 1).unwrap(), anew.narrow(0, text.len() - 1, 1).unwrap());
            let gap = distance(&ours, &theirs);
            prop_assert!(gap < 1e-3, "{} {}: {}", family, i, gap);
        }
    }

    /// Wherever a stream is left and come back to, it goes on as if nothing had been.
    #[test]
    fn forks_leave_no_trace_anywhere(
        family in prop::sample::select(&FAMILIES[..]),
        n_sink in 0usize..6, n_window in 1usize..24, n_chunk in 1usize..20,
        before in 1usize..40, aside in 1usize..40,
    ) {
        let decoder = decoder(family);
        let layout = Layout::new(n_sink, n_window, n_chunk).unwrap();
        let ids = ids(90);
        let run = |forks: bool| {
            let mut cache = decoder.new_cache(layout).unwrap();
            all_logits(&decoder, &ids[..before], &mut cache);
            if forks {
                let mut snapshot = None;
                cache.save(&mut snapshot).unwrap();
                all_logits(&decoder, &ids[90 - aside..], &mut cache);
                cache.restore(&snapshot.unwrap()).unwrap();
            }
            all_logits(&decoder, &ids[before..before + 30], &mut cache).to_vec2::<f32>().unwrap()
        };
        prop_assert!(run(false) == run(true), "{}", family);
    }
}

#[test]
fn attention_is_what_the_tokens_give_however_they_are_fed() {
    for family in ["llama3", "qwen3", "falcon40b", "mpt"] {
        let decoder = decoder(family);
        let layout = Layout::new(4, 12, 8).unwrap();
        let ids = ids(60);
        let (fed, watched) = ids.split_at(41);
        let begin = || {
            let mut stream = Stream::new(&decoder, layout).unwrap();
            stream.begin(&ids[..4]).unwrap();
            stream.feed(&fed[4..]).unwrap();
            stream
        };
        let mut stream = begin();
        let (first, next) = (28, stream.next_index());
        let together = stream.attention(&watched[..6], first..next + 6).unwrap();
        let mut alone = begin();
        for (t, &id) in watched[..6].iter().enumerate() {
            let row = alone.attention(&[id], first..next + t + 1).unwrap().remove(0);
            // The token itself and the eleven before it, and nothing after it.
            let (seen, unseen) = together[t].split_at(row.len());
            assert!(unseen.iter().all(|&w| w == 0.0), "{family}");
            let gap = seen.iter().zip(&row).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(gap < 1e-5, "{family}: {gap}");
            let hidden = row.len().saturating_sub(12);
            assert!(row[..hidden].iter().all(|&w| w == 0.0), "{family}");
            let pinned = alone_share(&decoder, layout, &ids[..4], &fed[4..], &watched[..=t]);
            let sum: f32 = row.iter().sum::<f32>() + pinned;
            assert!((sum - 1.0).abs() < 1e-4, "{family}: {sum}");
        }
    }
}

/// What the last of these tokens gives to the pinned ones.
fn alone_share(
    decoder: &Decoder,
    layout: Layout,
    prefix: &[u32],
    fed: &[u32],
    watched: &[u32],
) -> f32 {
    let mut stream = Stream::new(decoder, layout).unwrap();
    stream.begin(prefix).unwrap();
    stream.feed(fed).unwrap();
    let rows = stream.attention(watched, 0..prefix.len()).unwrap();
    rows.last().unwrap().iter().sum()
}

#[test]
fn watching_a_reply_does_not_change_it() {
    let decoder = decoder("llama3");
    let layout = Layout::new(4, 40, 8).unwrap();
    let ids = ids(60);
    let reply = |watch| {
        let mut stream = Stream::new(&decoder, layout).unwrap();
        stream.begin(&ids[..4]).unwrap();
        stream.feed(&ids[4..40]).unwrap();
        let limits = Limits { watch, ..limits(20, &[]) };
        stream.generate(&ids[40..], limits, &Decoding::default(), &mut |_| {}).unwrap()
    };
    let (plain, watched) = (reply(0..0), reply(30..38));
    assert_eq!(plain.ids, watched.ids);
    assert!(plain.attention.is_empty());
    assert!(watched.attention.len() + 1 >= watched.ids.len());
    assert!(watched.attention.iter().all(|row| row.len() == 8));
}

/// The losses of a text, by index.
fn scored(decoder: &Decoder, attention: Attention, n_chunk: usize) -> Vec<Scored> {
    let mut all = Vec::new();
    losses(decoder, &ids(60), attention, n_chunk, 1, &mut |more| all.extend_from_slice(more))
        .unwrap();
    all
}

fn gap(a: &[Scored], b: &[Scored]) -> f32 {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().zip(b).all(|(a, b)| a.index == b.index));
    a.iter().zip(b).map(|(a, b)| (a.loss - b.loss).abs()).fold(0.0, f32::max)
}

#[test]
fn perplexity_does_not_depend_on_chunks_and_short_texts_are_the_same_to_every_attention() {
    let decoder = decoder("llama3");
    let (sinks, window) =
        (Attention::Sinks { n_sink: 4, n_window: 12 }, Attention::Window { n_window: 16 });
    for attention in [sinks, window, Attention::Dense] {
        let whole = scored(&decoder, attention, 60);
        assert_eq!(whole.iter().map(|s| s.index).collect::<Vec<_>>(), (1..60).collect::<Vec<_>>());
        for n_chunk in [1, 7] {
            assert!(gap(&scored(&decoder, attention, n_chunk), &whole) < 1e-4);
        }
    }
    let dense = scored(&decoder, Attention::Dense, 8);
    for attention in [sinks, window, Attention::Recompute { n_window: 16 }] {
        let other = scored(&decoder, attention, 8);
        // As long as nothing is out of sight, there is nothing to differ.
        assert!(gap(&other[..15], &dense[..15]) < 1e-4, "{attention}");
        assert!(gap(&other[20..], &dense[20..]) > 1e-3, "{attention}");
    }
    // No sinks are a plain window.
    let none = Attention::Sinks { n_sink: 0, n_window: 16 };
    assert!(gap(&scored(&decoder, none, 8), &scored(&decoder, window, 8)) < 1e-6);
    let mean = perplexity(dense.iter().map(|s| s.loss)).unwrap();
    assert!(mean > 1.0 && mean.is_finite());
    assert_eq!(perplexity([]), None);
}

#[test]
fn a_window_computed_anew_is_a_text_that_begins_there() {
    let decoder = decoder("pythia");
    let ids = ids(60);
    let recomputed = scored(&decoder, Attention::Recompute { n_window: 10 }, 4);
    let mut last = Vec::new();
    losses(&decoder, &ids[39..50], Attention::Dense, 4, 1, &mut |more| {
        last.extend_from_slice(more)
    })
    .unwrap();
    let (here, there) = (recomputed.iter().find(|s| s.index == 49).unwrap(), last.last().unwrap());
    assert!((here.loss - there.loss).abs() < 1e-4, "{here:?} {there:?}");
}

#[test]
fn random_weights_of_any_family_compute_and_are_counted() {
    for family in FAMILIES {
        let spec = decoder(family).spec().clone();
        let weights = RandomWeights {
            spec: spec.clone(),
            eight_bits: false,
            dtype: DType::F32,
            device: Device::Cpu,
        };
        let random = Decoder::new(spec.clone(), &weights, DType::F32, &Device::Cpu).unwrap();
        let attention = Attention::Sinks { n_sink: 2, n_window: 14 };
        let time = time_per_token(&random, attention, 3).unwrap();
        assert_eq!(time.n_tokens, 3);
        time_of_reading(&random, (2, 14), 8, 20).unwrap();
        let together = time_of_streams(&random, (2, 14), 3, 2).unwrap();
        assert_eq!(together.n_cache_bytes, 3 * time.n_cache_bytes);
        let layout = Layout::new(2, 14, 256).unwrap();
        let plan = memory(&spec, &layout, STORAGES[0], 4, 1);
        assert_eq!(plan.cache_bytes, 2 * time.n_cache_bytes as u64, "{family}");
        assert!(plan.weight_bytes >= 4 * plan.n_params);
    }
}
