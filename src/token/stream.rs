//! Ids that come one at a time, as text that can be shown.

use super::Tokenizer;

/// Most tokens a single character is ever spelled with.
const MAX_PENDING: usize = 8;

/// Decodes ids one by one and holds back what is only half a character.
///
/// ```text
/// push(E2) -> None    push(82) -> None    push(AC) -> Some("€")
/// ```
#[derive(Debug)]
pub struct DecodeStream<'a> {
    tokenizer: &'a Tokenizer,
    /// The ids of the text that went out last, then the pending ones. Decoders treat the first
    /// token of a text differently, so one must stand there.
    ids: Vec<u32>,
    n_context: usize,
}

impl<'a> DecodeStream<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, ids: Vec::new(), n_context: 0 }
    }

    /// Takes one id and returns the text that it completes, if any.
    ///
    /// Special tokens complete nothing. Bytes that never become a character are given up after
    /// eight tokens and come out as U+FFFD.
    pub fn push(&mut self, id: u32) -> Option<String> {
        if self.tokenizer.is_special(id) {
            return None;
        }
        self.ids.push(id);
        let stuck = self.ids.len() - self.n_context >= MAX_PENDING;
        let text = self.pending(stuck)?;
        self.ids.drain(..self.n_context);
        self.n_context = self.ids.len();
        (!text.is_empty()).then_some(text)
    }

    /// What is still held back at the end: nothing, or broken bytes as U+FFFD.
    #[must_use]
    pub fn finish(self) -> Option<String> {
        self.pending(true).filter(|text| !text.is_empty())
    }

    /// Text of the pending ids as it reads behind the context, or nothing if a character is not
    /// whole yet. `anyway` takes what there is.
    fn pending(&self, anyway: bool) -> Option<String> {
        let decode = |ids: &[u32]| self.tokenizer.decode(ids).ok();
        let (context, pending) = self.ids.split_at(self.n_context);
        if pending.is_empty() {
            return None;
        }
        // Broken bytes can break the ones before them, too: then the context is gone from the text.
        match decode(&self.ids)?.strip_prefix(decode(context)?.as_str()) {
            Some(text) if anyway || !text.ends_with('\u{FFFD}') => Some(text.to_owned()),
            None if anyway => decode(pending),
            _ => None,
        }
    }
}
