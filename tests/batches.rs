//! Many tokens at once: streams that go through the model together, and replies that are guessed ahead,
//! are those that would have come one by one, bit for bit.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;

use candle_core::Tensor;
use longsum::cache::{CacheError, KvCache, Layout};
use longsum::model::{Feed, LanguageModel, ModelError, Spec, Together, Want};
use longsum::stream::{Decoding, Limits, Reply, Stream, Usage};
use proptest::prelude::*;

use crate::streams::{FAMILIES, all_logits, decoder, ids};

/// Two texts that have words in common, as a document and what is said of it.
fn text(seed: u32, n: usize) -> Vec<u32> {
    (0..n as u32).map(|i| ((i % 23) * 7 + i / 40 * 3 + seed) % 96).collect()
}

/// A reply on a text, what it cost, and what the stream says after it.
fn reply(
    model: &dyn LanguageModel,
    layout: Layout,
    text: &[u32],
    decoding: &Decoding,
    n_max: usize,
) -> (Reply, Usage, Vec<Vec<f32>>) {
    let mut stream = Stream::new(model, layout).unwrap();
    let n_pinned = layout.n_sink().min(3);
    stream.begin(&text[..n_pinned]).unwrap();
    stream.feed(&text[n_pinned..]).unwrap();
    let end = stream.next_index();
    let watch = end - 8..end;
    let limits = Limits { n_max, stops: &[95], watch, said: &[] };
    let reply = stream.generate(&[1, 2], limits, decoding, &mut |_| {}).unwrap();
    let usage = stream.usage();
    let mut rows = Vec::new();
    stream.score(&ids(12), |t| rows.extend(t.to_vec2::<f32>().unwrap())).unwrap();
    (reply, usage, rows)
}

#[test]
fn a_reply_guessed_ahead_is_the_same_reply() {
    let (mut n_guessed, mut n_right) = (0, 0);
    for family in FAMILIES {
        let decoder = decoder(family);
        let layouts = [(3, 60, 16), (0, 9, 4), (6, 20, 1), (4, 33, 3)];
        for (k, (n_sink, n_window, n_chunk)) in layouts.into_iter().enumerate() {
            let layout = Layout::new(n_sink, n_window, n_chunk).unwrap();
            for (temperature, repeat_penalty) in [(0.0, 1.0), (0.0, 1.1), (0.7, 1.0)] {
                let run = |n_guess| {
                    let decoding =
                        Decoding { temperature, repeat_penalty, n_guess, ..Decoding::default() };
                    reply(&decoder, layout, &text(k as u32, 70), &decoding, 40)
                };
                let (plain, plain_usage, after) = run(0);
                let (guessed, usage, after_guessed) = run(8);
                assert_eq!(plain, guessed, "{family} {layout:?}");
                assert!(after == after_guessed, "{family} {layout:?}");
                assert_eq!(plain_usage.n_guessed, 0);
                let counts = |u: Usage| (u.n_fed, u.n_generated);
                assert_eq!(counts(plain_usage), counts(usage));
                assert!(usage.n_guessed_right <= usage.n_guessed);
                n_guessed += usage.n_guessed;
                n_right += usage.n_guessed_right;
            }
        }
    }
    // Both must have come about, or nothing was shown.
    assert!(n_right > 100 && n_guessed > n_right + 100, "{n_right} of {n_guessed}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// What is taken back leaves no trace, wherever the ring stands.
    #[test]
    fn what_is_taken_back_leaves_no_trace(
        family in prop::sample::select(&FAMILIES[..]),
        n_sink in 0usize..6, n_window in 1usize..24, n_chunk in 1usize..12,
        before in 6usize..60, wrong in 1usize..12, back in 1usize..12,
    ) {
        let decoder = decoder(family);
        let layout = Layout::new(n_sink, n_window, n_chunk).unwrap();
        let ids = ids(90);
        let run = |goes_back: bool| {
            let mut cache = decoder.new_cache(layout).unwrap();
            all_logits(&decoder, &ids[..before], &mut cache);
            let mut fed = 0;
            if goes_back {
                let n = wrong.min(n_chunk);
                let back = back.min(n);
                fed = n - back;
                // The first of them are right.
                let mut guess = ids[before..before + n].to_vec();
                guess[fed..].iter_mut().for_each(|id| *id = 95 - *id);
                decoder.forward(&guess, &mut cache, Want::Nothing).unwrap();
                cache.retreat(back);
            }
            let at = before + if goes_back { fed } else { 0 };
            let rows = all_logits(&decoder, &ids[at..before + 25], &mut cache);
            let last = rows.dim(0).unwrap() - 10;
            rows.narrow(0, last, 10).unwrap().to_vec2::<f32>().unwrap()
        };
        prop_assert!(run(false) == run(true), "{}", family);
    }

    /// Whoever goes through the model beside a stream, it gets the bits it would get alone.
    #[test]
    fn neighbours_do_not_matter(
        family in prop::sample::select(&FAMILIES[..]),
        shapes in prop::collection::vec((0usize..5, 1usize..20, 1usize..9, 1usize..50), 1..5),
        wants in prop::collection::vec(prop::sample::select(vec![Want::Nothing, Want::Last, Want::All]), 5),
    ) {
        let decoder = decoder(family);
        let start = |&(n_sink, n_window, n_chunk, n): &(usize, usize, usize, usize)| {
            let mut cache = decoder.new_cache(Layout::new(n_sink, n_window, n_chunk).unwrap()).unwrap();
            all_logits(&decoder, &ids(n), &mut cache);
            cache
        };
        let n_bytes = |caches: &[KvCache]| caches.iter().map(KvCache::n_bytes).sum::<usize>();
        let mut alone: Vec<KvCache> = shapes.iter().map(start).collect();
        let mut beside: Vec<KvCache> = shapes.iter().map(start).collect();
        let before = n_bytes(&beside);
        for round in 0..4 {
            let chunks: Vec<Vec<u32>> =
                beside.iter().enumerate().map(|(k, cache)| text(round + k as u32, cache.fit(1 + (k + round as usize) % 5))).collect();
            let feeds = beside.iter_mut().zip(&chunks).zip(&wants);
            let mut feeds: Vec<Feed<'_>> =
                feeds.map(|((cache, ids), &want)| Feed { ids, cache, want }).collect();
            let outs = decoder.forward_many(&mut feeds);
            for (((cache, ids), &want), out) in alone.iter_mut().zip(&chunks).zip(&wants).zip(outs) {
                let expected = decoder.forward(ids, cache, want).unwrap();
                let numbers = |t: Tensor| t.to_vec2::<f32>().unwrap();
                prop_assert!(numbers(expected) == numbers(out.unwrap()), "{}", family);
            }
        }
        prop_assert_eq!(n_bytes(&beside), before);
    }
}

#[test]
fn what_one_stream_gets_wrong_is_its_own() {
    let decoder = decoder("llama2");
    let cache = || decoder.new_cache(Layout::new(2, 4, 3).unwrap()).unwrap();
    let (mut good, mut long, mut strange) = (cache(), cache(), cache());
    let (two, four) = (ids(2), ids(4));
    let mut feeds = [
        Feed { ids: &four, cache: &mut long, want: Want::Last },
        Feed { ids: &two, cache: &mut good, want: Want::Last },
        Feed { ids: &[96], cache: &mut strange, want: Want::Last },
    ];
    let outs = decoder.forward_many(&mut feeds);
    assert!(matches!(outs[0], Err(ModelError::Cache(CacheError::ChunkTooLong { .. }))));
    assert_eq!(outs[1].as_ref().unwrap().dims(), [1, 96]);
    assert!(matches!(outs[2], Err(ModelError::UnknownToken { id: 96, .. })));
    assert_eq!([long, good, strange].map(|cache| cache.next_index()), [0, 2, 0]);
}

/// Counts how many streams are fed at once.
struct Counted<'a> {
    model: &'a dyn LanguageModel,
    n_feeds: Mutex<Vec<usize>>,
    n_failures: AtomicUsize,
}

impl LanguageModel for Counted<'_> {
    fn spec(&self) -> &Spec {
        self.model.spec()
    }

    fn new_cache(&self, layout: Layout) -> Result<KvCache, ModelError> {
        self.model.new_cache(layout)
    }

    fn forward(&self, ids: &[u32], cache: &mut KvCache, want: Want) -> Result<Tensor, ModelError> {
        self.model.forward(ids, cache, want)
    }

    fn forward_many(&self, feeds: &mut [Feed<'_>]) -> Vec<Result<Tensor, ModelError>> {
        let fails = self
            .n_failures
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        assert!(fails.is_err(), "asked to fail");
        self.n_feeds.lock().unwrap().push(feeds.len());
        self.model.forward_many(feeds)
    }
}

#[test]
fn streams_of_several_threads_go_through_the_model_together() {
    for family in ["llama3", "gemma2", "mpt"] {
        let decoder = decoder(family);
        let counted =
            Counted { model: &decoder, n_feeds: Mutex::default(), n_failures: AtomicUsize::new(0) };
        let together = Together::new(&counted, 64);
        let n_streams = 6;
        let run = |model: &dyn LanguageModel, k: usize| {
            // They begin and end at different times, and are fed in different chunks.
            let layout = Layout::new(k % 4, 20 + k, 3 + k).unwrap();
            let decoding = Decoding { repeat_penalty: 1.0, ..Decoding::default() };
            let (reply, _, after) =
                reply(model, layout, &text(k as u32, 30 + 9 * k), &decoding, 20 + k);
            (reply, after)
        };
        let start = Barrier::new(n_streams);
        let replies: Vec<_> = thread::scope(|scope| {
            let one = |k| {
                let (together, start) = (&together, &start);
                scope.spawn(move || {
                    start.wait();
                    run(together, k)
                })
            };
            let threads: Vec<_> = (0..n_streams).map(one).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (k, reply) in replies.into_iter().enumerate() {
            assert!(reply == run(&decoder, k), "{family}, stream {k}");
        }
        let n_feeds = counted.n_feeds.into_inner().unwrap();
        assert!(n_feeds.iter().any(|&n| n > 1), "{family}: none was fed beside another");
    }
}

#[test]
fn a_batch_that_panics_ends_no_other_thread() {
    let decoder = decoder("llama2");
    let counted =
        Counted { model: &decoder, n_feeds: Mutex::default(), n_failures: AtomicUsize::new(1) };
    let together = Together::new(&counted, 64);
    let layout = Layout::new(2, 8, 4).unwrap();
    let start = Barrier::new(4);
    let ends: Vec<bool> = thread::scope(|scope| {
        let one = |k: u32| {
            let (together, start) = (&together, &start);
            scope.spawn(move || {
                start.wait();
                let mut stream = Stream::new(together, layout).unwrap();
                stream.begin(&text(k, 30)).is_ok()
            })
        };
        let threads: Vec<_> = (0..4).map(one).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(false)).collect()
    });
    // One batch failed; who was not in it went on.
    assert!(ends.iter().any(|&ended| !ended));
    let mut stream = Stream::new(&together, layout).unwrap();
    stream.begin(&text(7, 30)).unwrap();
}
