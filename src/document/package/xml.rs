//! XML, read as a stream: the names of elements without their prefixes, every element with its end.
//!
//! Reading stops at the first thing that is not XML and at nesting that no document has; what was
//! read before stays. No entity is expanded but the five that XML has and references to characters.

use std::borrow::Cow;
use std::io::{self, BufReader, ErrorKind, Read};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Error, Reader};

use super::super::html;
use super::Fault;

/// Elements inside each other; more are a trap.
const MAX_DEPTH: usize = 4096;

/// What comes next.
#[derive(Debug)]
pub(in super::super) enum Node<'x> {
    Start(Tag<'x>),
    /// The name of the element that ends.
    End(&'x str),
    Text(&'x str),
}

/// The start of an element.
#[derive(Debug)]
pub(in super::super) struct Tag<'x>(BytesStart<'x>);

/// What to do with the element that has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Step {
    /// Read what is inside, and its end.
    In,
    /// Pass over what is inside and over its end.
    Over,
}

impl Tag<'_> {
    /// The name, without its prefix.
    pub(in super::super) fn name(&self) -> &str {
        local(self.0.name().0)
    }

    /// The prefix of the name, where one name means several things.
    pub(in super::super) fn prefix(&self) -> &str {
        self.0.name().0.split_once(':').map_or("", |(prefix, _)| prefix)
    }

    /// The value of the first attribute of this name, whatever its prefix.
    pub(in super::super) fn attribute(&self, name: &str) -> Option<String> {
        let mut attributes = self.0.attributes();
        let mut attributes = attributes.with_checks(false).filter_map(Result::ok);
        let found = attributes.find(|attribute| local(attribute.key.0) == name)?;
        let value = quick_xml::escape::unescape_with(&found.value, entity);
        Some(value.map_or_else(|_| found.value.to_string(), Cow::into_owned))
    }

    /// Whether an attribute has this value.
    pub(in super::super) fn has(&self, name: &str, value: &str) -> bool {
        self.attribute(name).is_some_and(|it| it == value)
    }
}

/// Reads a part from its beginning to its end, or to a fault in it, which is returned.
///
/// `name`: what the fault calls it
pub(in super::super) fn read(
    name: &str,
    part: impl Read,
    mut take: impl FnMut(Node<'_>) -> Step,
) -> Option<Fault> {
    let mut reader = Reader::from_reader(BufReader::new(Utf8::new(part)));
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    config.allow_dangling_amp = true;
    let mut buffer = Vec::new();
    let (mut depth, mut has_begun) = (0, false);
    // The depth of the element that is passed over.
    let mut over: Option<usize> = None;
    let damaged = |what: &str| Some(Fault::Damaged(format!("its part `{name}` {what}")));
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer) {
            Ok(Event::Start(tag)) => {
                (depth, has_begun) = (depth + 1, true);
                if depth > MAX_DEPTH {
                    return damaged("is nested too deeply");
                }
                if over.is_none() && take(Node::Start(Tag(tag))) == Step::Over {
                    over = Some(depth);
                }
            }
            Ok(Event::End(tag)) => {
                if over.is_none() {
                    take(Node::End(local(tag.name().0)));
                } else if over == Some(depth) {
                    over = None;
                }
                depth = depth.saturating_sub(1);
            }
            Ok(Event::Eof) if depth > 0 => return damaged("ends too early"),
            Ok(Event::Eof) if !has_begun => return damaged("is not XML"),
            Ok(Event::Eof) => return None,
            Ok(Event::Text(text)) if over.is_none() => {
                take(Node::Text(&text.xml10_content()));
            }
            Ok(Event::CData(text)) if over.is_none() => {
                take(Node::Text(&text.xml10_content()));
            }
            Ok(Event::GeneralRef(reference)) if over.is_none() => {
                take(Node::Text(&character(&reference)));
            }
            Ok(_) => {}
            Err(Error::Io(error)) if error.kind() == ErrorKind::FileTooLarge => {
                return Some(Fault::TooLarge);
            }
            Err(error) => {
                let at = reader.buffer_position();
                return damaged(&format!("is damaged at byte {at}: {error}"));
            }
        }
    }
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// What a reference in a text stands for. One that is not known stays as it is.
fn character(reference: &BytesRef<'_>) -> String {
    match reference.resolve_char_ref() {
        Ok(Some(c)) => c.to_string(),
        Err(_) => '\u{FFFD}'.to_string(),
        Ok(None) => {
            let name: &str = reference;
            entity(name).map_or_else(|| format!("&{name};"), str::to_owned)
        }
    }
}

fn entity(name: &str) -> Option<&'static str> {
    Some(match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        // Books use it without saying what it is.
        "nbsp" => "\u{A0}",
        _ => return None,
    })
}

/// Bytes of any encoding as UTF-8; what is invalid becomes U+FFFD.
struct Utf8<R> {
    inner: R,
    /// None until the first bytes have told the encoding, and after the last.
    decoder: Option<Decoder>,
    bytes: Vec<u8>,
    /// Bytes that are decoded already.
    n_decoded: usize,
    has_begun: bool,
    is_at_end: bool,
}

/// How many bytes are decoded at once, and looked at for the encoding.
const N_AT_ONCE: u64 = 8192;

impl<R: Read> Utf8<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            decoder: None,
            bytes: Vec::new(),
            n_decoded: 0,
            has_begun: false,
            is_at_end: false,
        }
    }

    /// Fetches bytes, if all that were fetched are decoded.
    fn fetch(&mut self) -> io::Result<()> {
        if self.n_decoded < self.bytes.len() || self.is_at_end {
            return Ok(());
        }
        self.bytes.clear();
        self.n_decoded = 0;
        let n = (&mut self.inner).take(N_AT_ONCE).read_to_end(&mut self.bytes)?;
        self.is_at_end = n == 0;
        if !self.has_begun {
            self.has_begun = true;
            let (encoding, n_mark) = encoding(&self.bytes);
            self.n_decoded = n_mark;
            self.decoder = Some(encoding.new_decoder_without_bom_handling());
        }
        Ok(())
    }
}

impl<R: Read> Read for Utf8<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.fetch()?;
            let Some(decoder) = &mut self.decoder else { return Ok(0) };
            let bytes = &self.bytes[self.n_decoded..];
            let (result, n_read, n, _) = decoder.decode_to_utf8(bytes, buffer, self.is_at_end);
            self.n_decoded += n_read;
            if result == CoderResult::InputEmpty && self.is_at_end {
                self.decoder = None;
            }
            // A buffer too small for one character cannot be filled.
            if n > 0 || result == CoderResult::OutputFull {
                return Ok(n);
            }
        }
    }
}

/// The encoding of XML that begins like this, and the length of its mark.
fn encoding(head: &[u8]) -> (&'static Encoding, usize) {
    if let Some(found) = Encoding::for_bom(head) {
        return found;
    }
    let encoding = match head {
        [b'<', 0, ..] => UTF_16LE,
        [0, b'<', ..] => UTF_16BE,
        _ => html::stated_encoding(head).unwrap_or(UTF_8),
    };
    (encoding, 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The nodes of some XML in short: `<a `, text, `>`.
    fn read_all(bytes: &[u8]) -> (String, Option<Fault>) {
        let mut all = String::new();
        let fault = read("x", bytes, |node| {
            match node {
                Node::Start(tag) if tag.name() == "over" => return Step::Over,
                Node::Start(tag) => {
                    all.push_str(&format!("<{}", tag.name()));
                    all.extend(tag.attribute("k").map(|value| format!("={value}")));
                    all.push(' ');
                }
                Node::End(name) => all.push_str(&format!("{name}>")),
                Node::Text(text) => all.push_str(text),
            }
            Step::In
        });
        (all, fault)
    }

    fn check(xml: &str, expected: &str) {
        assert_eq!(read_all(xml.as_bytes()), (expected.to_owned(), None), "{xml:?}");
    }

    #[test]
    fn names_lose_their_prefixes_and_references_become_characters() {
        check("<w:a x:k='1 &amp; &#50;'><b/>c</w:a>", "<a=1 & 2 <b b>ca>");
        check(
            "<a>&lt;&#x1F980;&nbsp;&#0;<![CDATA[<&]]>\r\n&x; & y</a>",
            "<a <🦀\u{A0}\u{FFFD}<&\n&x; & ya>",
        );
        check("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a><!-- d -->", "<a &b;a>");
        check("<a><over>b<over/>c</over>d<over/>e</a>", "<a dea>");
    }

    #[test]
    fn every_encoding_is_read() {
        let wide: Vec<u8> = "<?xml version='1.0' encoding='UTF-16'?><a>é</a>"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(read_all(&wide).0, "<a éa>");
        assert_eq!(read_all(&[b"\xFF\xFE", wide.as_slice()].concat()).0, "<a éa>");
        assert_eq!(read_all(b"<?xml version='1.0' encoding=\"koi8-r\"?><a>\xF0</a>").0, "<a Пa>");
        assert_eq!(read_all(b"\xEF\xBB\xBF<a>\xC3\xA9\xC3</a>").0, "<a é\u{FFFD}a>");
        let long = "é".repeat(100_000);
        assert_eq!(read_all(format!("<a>{long}</a>").as_bytes()).0.len(), long.len() + 5);
    }

    #[test]
    fn what_is_read_before_a_fault_stays() {
        for (xml, expected) in [
            ("<a>b<c>d", "<a b<c d"),
            ("<a>b</c>d</a>", "<a b"),
            ("<a>b<c", "<a b"),
            ("<a>b<!x>", "<a b"),
            ("", ""),
            ("a", "a"),
        ] {
            let (all, fault) = read_all(xml.as_bytes());
            assert_eq!(all, expected);
            assert!(matches!(fault, Some(Fault::Damaged(_))), "{xml:?}");
        }
        let (_, fault) = read_all("<a>".repeat(100_000).as_bytes());
        assert_eq!(fault, Some(Fault::Damaged("its part `x` is nested too deeply".into())));
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read_all(&bytes);
            read_all(&[b"<?xml encoding='gbk'?><a>", bytes.as_slice()].concat());
        }

        #[test]
        fn starts_and_ends_go_together(
            pieces in prop::collection::vec("(</?[ab]/?>|<over>|</over>|[a-c& ;]{1,3})", 0..40)
        ) {
            let mut depth = 0_i32;
            let fault = read("x", pieces.concat().as_bytes(), |node| {
                match node {
                    Node::Start(tag) if tag.name() == "over" => return Step::Over,
                    Node::Start(_) => depth += 1,
                    Node::End(_) => depth -= 1,
                    Node::Text(_) => {}
                }
                Step::In
            });
            prop_assert!(depth >= 0);
            prop_assert!(fault.is_some() || depth == 0);
        }
    }
}
