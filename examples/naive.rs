//! The way longsum does not take: the whole document goes by, and then the last cache is asked for a
//! summary. Prints how the sentences that come closest to the summary spread over the document.
//!
//! `cargo run --release --example naive -- MODEL FILE [WORDS]`
//!
//! StreamingLLM keeps a model fluent over any length; it does not make it remember (its authors say
//! so, arXiv:2309.17453). This shows by how much.

use std::collections::HashSet;
use std::path::PathBuf;

use candle_core::Device;
use longsum::cache::Layout;
use longsum::load::Loaded;
use longsum::prompt::{self, Ask, Prompts};
use longsum::stream::{Decoding, Limits, Stream};
use longsum::{document, sentence};
use unicode_segmentation::UnicodeSegmentation;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let model = PathBuf::from(args.next().ok_or("which model?")?);
    let file = PathBuf::from(args.next().ok_or("which file?")?);
    let n_words = args.next().map_or(Ok(200), |n| n.parse())?;
    let loaded = Loaded::open(&model, &Device::Cpu)?;
    let document = document::read(&file)?;
    let read = document.to_read(0..document.text.len());
    let ask = Ask { n_words, ..Ask::default() };
    let prompt = Prompts::built_in().notes(&loaded.chat, "", ask)?;
    let (prefix, suffix) = prompt.encode(&loaded.tokenizer)?;
    let n_reply = 2 * n_words;
    // The shape that longsum gives the stream by itself.
    let layout = Layout::new(prefix.len(), 1024 + suffix.len() + n_reply, 1024)?;
    let mut stream = Stream::new(&loaded.decoder, layout)?;
    stream.begin(&prefix)?;
    stream.feed(&loaded.tokenizer.encode_text(&read)?)?;
    let limits = Limits { n_max: n_reply, stops: &loaded.stops, ..Limits::default() };
    let reply = stream.generate(&suffix, limits, &Decoding::default(), &mut |_| {})?;
    let text = loaded.tokenizer.decode(&reply.ids)?;
    println!("{text}\n");

    let words = |text: &str| -> HashSet<String> {
        text.unicode_words().map(str::to_lowercase).filter(|w| w.len() > 3).collect()
    };
    let sentences = sentence::split(&read);
    let mut by_tenth = [0; 10];
    for line in prompt::lines(&text) {
        for range in sentence::split(&line) {
            let wanted = words(&line[range]);
            let best = sentences
                .iter()
                .rev()
                .max_by_key(|range| words(&read[(*range).clone()]).intersection(&wanted).count());
            if let Some(best) = best.filter(|_| wanted.len() > 2) {
                by_tenth[best.start * 10 / read.len()] += 1;
            }
        }
    }
    println!("closest sentences by tenth of the document: {by_tenth:?}");
    Ok(())
}
