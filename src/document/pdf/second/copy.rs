//! One page as a file of its own, for the second reader: what places and shows text, and its fonts.

use std::collections::HashMap;
use std::fmt::Write as _;

use pdf_extract::{Dictionary, ObjectId, Stream, dictionary};
use pdfboss_core::content::{Op, TextItem};
use pdfboss_core::{Dict, Document, Matrix, ObjRef, Object, Page};

/// The most that is handed on of a page's fonts.
const MAX_OBJECTS: usize = 4096;
const MAX_BYTES: usize = 64 << 20;
/// Dictionaries and arrays in each other. What nests deeper is no font.
const MAX_DEPTH: usize = 16;

/// A file with this page alone.
pub(super) fn of_page(file: &Document, page: &Page, ops: &[Op]) -> Option<pdf_extract::Document> {
    let made = pdf_extract::Document::with_version("1.7");
    let mut copy = Copy { file, made, open: Vec::new(), known: HashMap::new(), n_bytes: 0 };
    let fonts = file.resolve(page.resources.get("Font")?).ok()?;
    let fonts = copy.whole(&fonts)?;
    let mut made = copy.made;
    let contents = made.add_object(Stream::new(Dictionary::new(), content(ops)));
    let edges = [page.media_box.x0, page.media_box.y0, page.media_box.x1, page.media_box.y1];
    let page = made.add_object(dictionary! {
        "Type" => "Page",
        "MediaBox" => edges.map(pdf_extract::Object::Real).to_vec(),
        "Resources" => dictionary! { "Font" => fonts },
        "Contents" => contents,
    });
    let pages = made.add_object(dictionary! {
        "Type" => "Pages", "Count" => 1, "Kids" => vec![page.into()],
    });
    let catalog = made.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages });
    made.trailer.set("Root", catalog);
    Some(made)
}

/// The file that is made, and what of the other is still to be copied.
struct Copy<'a> {
    file: &'a Document,
    made: pdf_extract::Document,
    open: Vec<(ObjRef, ObjectId)>,
    known: HashMap<(u32, u16), ObjectId>,
    n_bytes: usize,
}

impl<'a> Copy<'a> {
    /// Copies an object and all that it refers to; none if that is too much.
    fn whole(&mut self, object: &Object) -> Option<pdf_extract::Object> {
        let copied = self.object(object, MAX_DEPTH);
        while let Some((from, to)) = self.open.pop() {
            let object = self.file.get(from).unwrap_or(Object::Null);
            let object = self.object(&object, MAX_DEPTH);
            self.made.set_object(to, object);
            if self.n_bytes > MAX_BYTES || self.made.objects.len() > MAX_OBJECTS {
                return None;
            }
        }
        Some(copied)
    }

    fn object(&mut self, object: &Object, depth: usize) -> pdf_extract::Object {
        use pdf_extract::Object as Copied;
        match object {
            _ if depth == 0 => Copied::Null,
            Object::Null => Copied::Null,
            Object::Bool(value) => Copied::Boolean(*value),
            Object::Int(number) => Copied::Integer(*number),
            #[expect(clippy::cast_possible_truncation, reason = "widths of letters are small")]
            Object::Real(number) => Copied::Real(*number as f32),
            Object::String(text) => Copied::string_literal(text.clone()),
            Object::Name(name) => Copied::Name(name.0.clone().into_bytes()),
            Object::Array(items) => {
                Copied::Array(items.iter().map(|item| self.object(item, depth - 1)).collect())
            }
            Object::Dict(dict) => Copied::Dictionary(self.dict(dict, depth)),
            Object::Stream(stream) => {
                let data = self.file.stream_data(stream).unwrap_or_default();
                self.n_bytes += data.len();
                let mut dict = self.dict(&stream.dict, depth);
                // The data are no longer packed.
                dict.remove(b"Filter");
                dict.remove(b"DecodeParms");
                Copied::Stream(Stream::new(dict, data))
            }
            Object::Ref(to) => Copied::Reference(self.reference(*to)),
        }
    }

    fn dict(&mut self, dict: &Dict, depth: usize) -> Dictionary {
        let mut copied = Dictionary::new();
        for (name, value) in dict.iter() {
            copied.set(name.0.clone().into_bytes(), self.object(value, depth - 1));
        }
        copied
    }

    fn reference(&mut self, to: ObjRef) -> ObjectId {
        let (made, open) = (&mut self.made, &mut self.open);
        *self.known.entry((to.num, to.r#gen)).or_insert_with(|| {
            let id = made.new_object_id();
            open.push((to, id));
            id
        })
    }
}

/// The operators that place and show text, as a content stream.
fn content(ops: &[Op]) -> Vec<u8> {
    let mut out = String::new();
    for op in ops {
        // Writing to a string cannot fail.
        let _ = match op {
            Op::Save => writeln!(out, "q"),
            Op::Restore => writeln!(out, "Q"),
            Op::Concat(m) => writeln!(out, "{} cm", matrix(m)),
            Op::BeginText => writeln!(out, "BT"),
            Op::EndText => writeln!(out, "ET"),
            Op::SetCharSpacing(x) => writeln!(out, "{x} Tc"),
            Op::SetWordSpacing(x) => writeln!(out, "{x} Tw"),
            Op::SetHorizScaling(x) => writeln!(out, "{x} Tz"),
            Op::SetLeading(x) => writeln!(out, "{x} TL"),
            Op::SetFont(name, size) => writeln!(out, "/{} {size} Tf", escaped(&name.0)),
            Op::SetTextRise(y) => writeln!(out, "{y} Ts"),
            Op::TextMove(x, y) => writeln!(out, "{x} {y} Td"),
            Op::TextMoveSetLeading(x, y) => writeln!(out, "{x} {y} TD"),
            Op::SetTextMatrix(m) => writeln!(out, "{} Tm", matrix(m)),
            Op::TextNextLine => writeln!(out, "T*"),
            Op::ShowText(text) => writeln!(out, "<{}> Tj", hex(text)),
            Op::ShowTextAdjusted(items) => writeln!(out, "[{}] TJ", adjusted(items)),
            Op::NextLineShowText(text) => writeln!(out, "T* <{}> Tj", hex(text)),
            Op::NextLineShowTextSpaced(word, char, text) => {
                writeln!(out, "{word} Tw {char} Tc T* <{}> Tj", hex(text))
            }
            _ => Ok(()),
        };
    }
    out.into_bytes()
}

fn matrix(m: &Matrix) -> String {
    format!("{} {} {} {} {} {}", m.a, m.b, m.c, m.d, m.e, m.f)
}

fn adjusted(items: &[TextItem]) -> String {
    let mut out = String::new();
    for item in items {
        let _ = match item {
            TextItem::Str(text) => write!(out, "<{}>", hex(text)),
            TextItem::Offset(by) => write!(out, " {by} "),
        };
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02X}");
        out
    })
}

/// A name as it is written: all but letters and digits by their numbers.
fn escaped(name: &str) -> String {
    name.bytes().fold(String::new(), |mut out, byte| {
        let _ = if byte.is_ascii_alphanumeric() {
            write!(out, "{}", char::from(byte))
        } else {
            write!(out, "#{byte:02X}")
        };
        out
    })
}
