//! What a reply may say next, guessed from what was read: summaries copy names and phrases.
//!
//! Where the last tokens stood once before, what followed them there is proposed. The model looks at
//! all of a proposal in one pass, and what it would not have said itself is taken back; so guesses
//! cost or save time, and change no reply.
//!
//! Source: Saxena, "Prompt Lookup Decoding" (2023); Leviathan et al., "Fast Inference from Transformers via
//! Speculative Decoding", arXiv:2211.17192, for the verification.

/// Tokens that must have stood together before, the longest first.
const N_TAIL: [usize; 2] = [3, 2];
/// Tokens proposed at first.
const N_FIRST: usize = 4;
/// Tokens proposed at most.
const N_MOST: usize = 16;

/// The last tokens that went through a stream, and how far they can be trusted.
#[derive(Debug)]
pub struct Lookup {
    ids: Vec<u32>,
    /// Tokens that are remembered.
    n_kept: usize,
    /// Tokens of the next proposal: more while all are right.
    n_next: usize,
    /// Proposals to leave out, after some that were of no use.
    n_pause: usize,
    /// Useless proposals in a row.
    n_useless: u32,
}

impl Lookup {
    /// Remembers so many tokens.
    pub fn new(n_kept: usize) -> Self {
        Self { ids: Vec::new(), n_kept, n_next: N_FIRST, n_pause: 0, n_useless: 0 }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.ids.clear();
    }

    /// Remembers tokens that go through the stream.
    pub fn hear(&mut self, ids: &[u32]) {
        self.ids.extend(ids);
        if self.ids.len() > 2 * self.n_kept {
            self.ids.drain(..self.ids.len() - self.n_kept);
        }
    }

    /// What may follow the last token, at most `n_most` tokens; nothing where nothing is like it.
    pub fn propose(&mut self, n_most: usize) -> &[u32] {
        let n_most = n_most.min(self.n_next);
        if n_most == 0 {
            return &[];
        }
        let found = N_TAIL.iter().find_map(|&n| Some((n, self.earlier(n)?)));
        let Some((n, at)) = found else { return &[] };
        if self.n_pause > 0 {
            self.n_pause -= 1;
            return &[];
        }
        let start = at + n;
        &self.ids[start..self.ids.len().min(start + n_most)]
    }

    /// Where the last `n` tokens stood the last time before.
    fn earlier(&self, n: usize) -> Option<usize> {
        let start = self.ids.len().checked_sub(n).filter(|&start| start > 0)?;
        let tail = &self.ids[start..];
        (0..start).rev().find(|&at| self.ids[at..at + n] == *tail)
    }

    /// Learns from how many tokens of a proposal were right.
    pub fn learn(&mut self, n_proposed: usize, n_right: usize) {
        if n_proposed == 0 {
            return;
        }
        if n_right == 0 {
            // A reply in words of its own: ask ever more seldom.
            self.n_useless = (self.n_useless + 1).min(4);
            self.n_pause = (1 << self.n_useless) - 1;
            self.n_next = N_FIRST;
        } else {
            self.n_useless = 0;
            self.n_next = if n_right == n_proposed { 2 * self.n_next } else { N_FIRST };
            self.n_next = self.n_next.min(N_MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_followed_the_last_time_is_proposed() {
        let mut lookup = Lookup::new(100);
        lookup.hear(&[1, 2, 3, 4, 5, 9, 2, 3, 7, 8, 1, 2, 3]);
        // The longer tail counts: 1 2 3, not the later 2 3.
        assert_eq!(lookup.propose(10), [4, 5, 9, 2]);
        assert_eq!(lookup.propose(2), [4, 5]);
        lookup.hear(&[50]);
        assert!(lookup.propose(10).is_empty());
        lookup.hear(&[2, 3]);
        assert_eq!(lookup.propose(10), [50, 2, 3]);
        lookup.clear();
        assert!(lookup.propose(10).is_empty());
    }

    #[test]
    fn proposals_grow_while_they_are_right_and_rest_while_they_are_not() {
        let mut lookup = Lookup::new(100);
        let text: Vec<u32> = (0..40).chain([0, 1, 2]).collect();
        lookup.hear(&text);
        let mut n = Vec::new();
        for _ in 0..4 {
            let proposed = lookup.propose(100).len();
            n.push(proposed);
            lookup.learn(proposed, proposed);
        }
        assert_eq!(n, [4, 8, 16, 16]);
        lookup.learn(16, 3);
        assert_eq!(lookup.propose(100).len(), 4);
        lookup.learn(4, 0);
        let n: Vec<usize> = (0..3).map(|_| lookup.propose(100).len()).collect();
        assert_eq!(n, [0, 4, 4]);
    }

    #[test]
    fn only_the_last_tokens_are_remembered() {
        let mut lookup = Lookup::new(4);
        for id in 0..1000 {
            lookup.hear(&[id]);
            assert!(lookup.ids.len() <= 8);
        }
        assert_eq!(lookup.ids.last(), Some(&999));
    }
}
