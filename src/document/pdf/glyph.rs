//! What the embedded fonts say about their glyphs, for fonts that state no Unicode.
//!
//! A PDF may show the `fi` ligature as code 12 of a font without a Unicode map. The font program
//! still names its glyphs (`fi`, `quotedblleft`), and the Adobe Glyph List says what those names
//! mean. [`NamedFonts`] stands between the backend and the file: it hands every object on as it
//! is, but gives such fonts the encoding that their own program states. It never replaces what
//! the file says outright.
//!
//! Source: Adobe Technical Note 5176 (Compact Font Format); ISO 32000-1, 9.6.6 and 9.10.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

use pdfboss_core::{Dict, Name, ObjRef, Object, ObjectSource, Result, Stream};
use pdfboss_encoding::glyph_to_text;

/// A glyph name that decodes to U+FFFD: a visible gap is better than a wrong letter.
const UNKNOWN_GLYPH: &str = "uniFFFD";

/// A document whose fonts speak: reads through to the document, with encodings added.
pub(super) struct NamedFonts<'a> {
    document: &'a pdfboss_core::Document,
    fonts: RefCell<HashMap<(u32, u16), Option<Object>>>,
    restored: RefCell<HashSet<String>>,
}

impl<'a> NamedFonts<'a> {
    pub(super) fn new(document: &'a pdfboss_core::Document) -> Self {
        Self { document, fonts: RefCell::default(), restored: RefCell::default() }
    }

    /// The `BaseFont` names of the fonts that got their encoding from their program so far.
    pub(super) fn restored(&self) -> HashSet<String> {
        self.restored.borrow().clone()
    }

    /// The font with what its program adds, or `None` where there is nothing to add.
    fn name_glyphs(&self, font: &Dict) -> Option<Object> {
        let named = match font.get_name("Subtype")?.0.as_str() {
            "Type3" => return self.scale_widths(font).map(Object::Dict),
            "Type1" | "MMType1" => self.name_simple(font),
            "Type0" => self.name_composite(font),
            _ => None,
        }?;
        let base = font.get_name("BaseFont").map_or_else(String::new, |name| name.0.clone());
        self.restored.borrow_mut().insert(base);
        Some(Object::Dict(named))
    }

    /// A Type 3 font: its widths in thousandths, as those of other fonts are. The backend does not ask for
    /// the font's own matrix, and would set the letters of TeX's bitmap fonts over each other.
    fn scale_widths(&self, font: &Dict) -> Option<Dict> {
        let matrix = self.document.resolve(font.get("FontMatrix")?).ok()?;
        let scale = number(matrix.as_array()?.first()?)? * 1000.0;
        if !scale.is_finite() || scale <= 0.0 || (scale - 1.0).abs() < 0.001 {
            return None;
        }
        let widths = self.document.resolve(font.get("Widths")?).ok()?;
        let scaled = widths.as_array()?.iter().map(|width| {
            let width = self.document.resolve(width).ok().as_ref().and_then(number).unwrap_or(0.0);
            Object::Real(width * scale)
        });
        let widths = Object::Array(scaled.collect());
        let mut font = font.clone();
        font.insert(Name("Widths".into()), widths);
        Some(font)
    }

    /// A Type 1 font: the built-in encoding of a compact (CFF) program becomes `/Differences`.
    fn name_simple(&self, font: &Dict) -> Option<Dict> {
        let stated = font.get("Encoding").and_then(|o| self.document.resolve(o).ok());
        let mut encoding = match stated {
            None | Some(Object::Null) => Dict::new(),
            Some(Object::Dict(dict)) if dict.get("BaseEncoding").is_none() => dict,
            Some(_) => return None, // a named base: the file has said it outright
        };
        let descriptor = self.dict(font.get("FontDescriptor")?)?;
        let program = self.bytes(descriptor.get("FontFile3")?)?;
        let codes = Cff::parse(&program)?.encoding()?;
        let mut differences = Vec::with_capacity(codes.len() * 2);
        for (code, name) in codes {
            let name = if glyph_to_text(&name).is_some() { name } else { UNKNOWN_GLYPH.into() };
            differences.push(Object::Int(i64::from(code)));
            differences.push(Object::Name(Name(name)));
        }
        // What the file lists itself comes last, and so prevails.
        if let Some(Object::Array(own)) =
            encoding.get("Differences").and_then(|o| self.document.resolve(o).ok())
        {
            differences.extend(own);
        }
        encoding.insert(Name("Differences".into()), Object::Array(differences));
        let mut font = font.clone();
        font.insert(Name("Encoding".into()), Object::Dict(encoding));
        Some(font)
    }

    /// A composite font: its program's own `cmap` or glyph names fill what its map leaves open.
    fn name_composite(&self, font: &Dict) -> Option<Dict> {
        let own = font.get("ToUnicode").and_then(|o| self.bytes(o)).unwrap_or_default();
        let encoding = self.document.resolve(font.get("Encoding")?).ok()?;
        if !encoding.as_name().is_some_and(|name| name.0.starts_with("Identity")) {
            return None;
        }
        let descendants = self.document.resolve(font.get("DescendantFonts")?).ok()?;
        let descendant = self.dict(descendants.as_array()?.first()?)?;
        let collection = descendant.get("CIDSystemInfo").and_then(|o| self.dict(o));
        let ordering = collection.as_ref().and_then(|info| info.get("Ordering"));
        if ordering.and_then(Object::as_str_bytes).is_some_and(|bytes| bytes != b"Identity") {
            return None; // a known character collection, which the backend reads itself
        }
        let descriptor = self.dict(descendant.get("FontDescriptor")?)?;
        let program = descriptor.get("FontFile2").or_else(|| descriptor.get("FontFile3"));
        let glyphs = match program {
            Some(program) => glyph_texts(&self.bytes(program)?)?,
            None if has_known_glyphs(&descendant) => known_glyphs(),
            None => return None,
        };
        let gids = descendant.get("CIDToGIDMap").and_then(|o| self.bytes(o));
        let texts: BTreeMap<u16, String> = match gids {
            None => glyphs,
            Some(map) => (0..=u16::MAX)
                .zip(map.chunks_exact(2))
                .filter_map(|(cid, gid)| {
                    let text = glyphs.get(&u16::from_be_bytes([gid[0], gid[1]]))?;
                    Some((cid, text.clone()))
                })
                .collect(),
        };
        // Entries are looked up one by one where the font has a map of its own: subsets only.
        if texts.is_empty() || (!own.is_empty() && texts.len() > MAX_FILLED) {
            return None;
        }
        let mut font = font.clone();
        let stream = Stream { dict: Dict::new(), data: unicode_map(own, &texts) };
        font.insert(Name("ToUnicode".into()), Object::Stream(stream));
        Some(font)
    }

    fn dict(&self, object: &Object) -> Option<Dict> {
        self.document.resolve(object).ok()?.as_dict().cloned()
    }

    fn bytes(&self, object: &Object) -> Option<Vec<u8>> {
        let object = self.document.resolve(object).ok()?;
        self.document.stream_data(object.as_stream()?).ok()
    }
}

impl ObjectSource for NamedFonts<'_> {
    fn get(&self, r: ObjRef) -> Result<Object> {
        let key = (r.num, r.r#gen);
        let known = self.fonts.borrow().get(&key).cloned();
        if let Some(Some(font)) = known {
            return Ok(font);
        }
        let object = self.document.get(r)?;
        let is_font = known.is_none()
            && object.as_dict().is_some_and(|dict| {
                dict.get_name("Type").is_some_and(|name| name.0 == "Font")
                    || dict.get("FontDescriptor").is_some()
            });
        if let (true, Some(dict)) = (is_font, object.as_dict()) {
            let named = self.name_glyphs(dict);
            self.fonts.borrow_mut().insert(key, named.clone());
            return Ok(named.unwrap_or(object));
        }
        Ok(object)
    }

    fn stream_data(&self, s: &Stream) -> Result<Vec<u8>> {
        // A map made here has no filter and no encryption: its bytes are its data.
        if s.dict.is_empty() { Ok(s.data.clone()) } else { self.document.stream_data(s) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "no width of a letter has that many digits")]
pub(super) fn number(object: &Object) -> Option<f64> {
    match object {
        Object::Int(number) => Some(*number as f64),
        Object::Real(number) => Some(*number),
        _ => None,
    }
}

/// Glyphs of a font whose own Unicode map is filled up.
const MAX_FILLED: usize = 2000;

/// A Unicode map (`ToUnicode`) for two-byte codes: the font's own, then what it leaves open.
///
/// Ranges are the weakest kind of entry: single codes and earlier ranges prevail over them.
fn unicode_map(own: Vec<u8>, texts: &BTreeMap<u16, String>) -> Vec<u8> {
    let is_new = own.is_empty();
    let mut map = String::from("\nbegincmap\n");
    if is_new {
        map.push_str("1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n");
    }
    let kind = if is_new { "bfchar" } else { "bfrange" };
    let entries: Vec<_> = texts.iter().collect();
    for block in entries.chunks(100) {
        let _ = writeln!(map, "{} begin{kind}", block.len());
        for (code, text) in block {
            let again = if is_new { String::new() } else { format!("<{code:04X}> ") };
            let _ = write!(map, "<{code:04X}> {again}<");
            for unit in text.encode_utf16() {
                let _ = write!(map, "{unit:04X}");
            }
            map.push_str(">\n");
        }
        let _ = writeln!(map, "end{kind}");
    }
    map.push_str("endcmap\n");
    let mut bytes = own;
    bytes.extend(map.into_bytes());
    bytes
}

/// Whether a font that is not in the file is one whose glyphs are known by their numbers.
fn has_known_glyphs(font: &Dict) -> bool {
    let name = font.get_name("BaseFont").map_or("", |name| name.0.as_str());
    let is_true_type = font.get_name("Subtype").is_some_and(|name| name.0 == "CIDFontType2");
    let known = ["Arial", "TimesNewRoman", "CourierNew"];
    is_true_type && known.iter().any(|known| name.starts_with(known))
}

/// The glyphs that these fonts begin with: the characters of Mac OS Roman, in its order. What follows
/// them is not the same in every version of a font.
///
/// Source: Apple, TrueType Reference Manual, the 'post' table, format 1.
fn known_glyphs() -> BTreeMap<u16, String> {
    // The first three glyphs are no characters, and one character, DEL, has no glyph.
    let bytes = (0x20..=0x7E).chain(0x80..=0xFF_u8);
    let text =
        |byte: u8| encoding_rs::MACINTOSH.decode_without_bom_handling(&[byte]).0.into_owned();
    (3..).zip(bytes.map(text)).collect()
}

/// What each glyph of a font program stands for: by its `cmap`, else by its glyph names.
fn glyph_texts(program: &[u8]) -> Option<BTreeMap<u16, String>> {
    if let Some(cmap) = sfnt_table(program, *b"cmap") {
        let texts = reverse_cmap(cmap);
        if !texts.is_empty() {
            return Some(texts);
        }
    }
    let cff = Cff::parse(program)?;
    let names = cff.glyph_names()?;
    let texts =
        (0..=u16::MAX).zip(names).filter_map(|(gid, name)| Some((gid, glyph_to_text(&name)?)));
    Some(texts.collect())
}

/// Glyph to character from the Unicode subtables of an sfnt `cmap` (formats 4 and 12).
fn reverse_cmap(cmap: &[u8]) -> BTreeMap<u16, String> {
    let mut texts = BTreeMap::new();
    let mut add = |gid: u32, scalar: u32| {
        let (Ok(gid), Some(c)) = (u16::try_from(gid), char::from_u32(scalar)) else { return };
        // Private-use characters say nothing: they are how symbol fonts number their glyphs.
        if gid != 0 && !('\u{E000}'..='\u{F8FF}').contains(&c) {
            texts.entry(gid).or_insert_with(|| c.to_string());
        }
    };
    let n_tables = u16_at(cmap, 2).unwrap_or(0);
    for table in 0..usize::from(n_tables) {
        let record = 4 + 8 * table;
        let (Some(platform), Some(offset)) = (u16_at(cmap, record), u32_at(cmap, record + 4))
        else {
            break;
        };
        let Some(sub) = usize::try_from(offset).ok().and_then(|at| cmap.get(at..)) else {
            continue;
        };
        if platform != 0 && platform != 3 {
            continue;
        }
        match u16_at(sub, 0) {
            Some(4) => each_of_format_4(sub, &mut add),
            Some(12) => each_of_format_12(sub, &mut add),
            _ => {}
        }
    }
    texts
}

fn each_of_format_4(sub: &[u8], add: &mut dyn FnMut(u32, u32)) {
    let n = usize::from(u16_at(sub, 6).unwrap_or(0) / 2);
    for segment in 0..n {
        let at = |column: usize| {
            u16_at(sub, 14 + 2 * (column * n + segment) + if column > 0 { 2 } else { 0 })
        };
        let (Some(end), Some(start), Some(delta), Some(range)) = (at(0), at(1), at(2), at(3))
        else {
            return;
        };
        for code in start..=end.min(0xFFFE) {
            let gid = if range == 0 {
                code.wrapping_add(delta)
            } else {
                let base = 14 + 2 * (3 * n + segment) + 2;
                let slot = base + usize::from(range) + 2 * usize::from(code - start);
                match u16_at(sub, slot) {
                    None => break,
                    Some(0) => 0,
                    Some(gid) => gid.wrapping_add(delta),
                }
            };
            add(u32::from(gid), u32::from(code));
        }
    }
}

fn each_of_format_12(sub: &[u8], add: &mut dyn FnMut(u32, u32)) {
    let n = u32_at(sub, 12).unwrap_or(0);
    let mut at = 16;
    for _ in 0..n {
        let (Some(start), Some(end), Some(gid)) =
            (u32_at(sub, at), u32_at(sub, at + 4), u32_at(sub, at + 8))
        else {
            return;
        };
        // A hostile range may claim the whole of u32: glyph ids end at 65,535.
        for step in 0..=end.saturating_sub(start).min(0xFFFF) {
            add(gid.saturating_add(step), start.saturating_add(step));
        }
        at += 12;
    }
}

/// One table of an sfnt (TrueType, OpenType) program.
fn sfnt_table(program: &[u8], tag: [u8; 4]) -> Option<&[u8]> {
    if !matches!(program.get(..4)?, b"\0\x01\0\0" | b"OTTO" | b"true") {
        return None;
    }
    for record in 0..usize::from(u16_at(program, 4)?) {
        let at = 12 + 16 * record;
        if program.get(at..at + 4)? == tag {
            let offset = usize::try_from(u32_at(program, at + 8)?).ok()?;
            let length = usize::try_from(u32_at(program, at + 12)?).ok()?;
            let rest = program.get(offset..)?;
            return Some(&rest[..length.min(rest.len())]);
        }
    }
    None
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// The parts of a Compact Font Format program that name glyphs. Outlines are left alone.
struct Cff<'a> {
    data: &'a [u8],
    strings: Vec<&'a [u8]>,
    n_glyphs: usize,
    charset: usize,
    encoding: usize,
    is_cid: bool,
}

impl<'a> Cff<'a> {
    fn parse(program: &'a [u8]) -> Option<Self> {
        let data = sfnt_table(program, *b"CFF ").unwrap_or(program);
        if *data.first()? != 1 {
            return None;
        }
        let (_, next) = index(data, usize::from(*data.get(2)?))?;
        let (tops, next) = index(data, next)?;
        let (strings, _) = index(data, next)?;
        let top = dict_operands(tops.first()?);
        let offset =
            |operator: u16| top.get(&operator).and_then(|&n| usize::try_from(n).ok()).unwrap_or(0);
        let (charstrings, _) = index(data, offset(17))?;
        Some(Self {
            data,
            strings,
            n_glyphs: charstrings.len(),
            charset: offset(15),
            encoding: offset(16),
            is_cid: top.contains_key(&CFF_ROS),
        })
    }

    fn string(&self, sid: u16) -> Option<String> {
        let sid = usize::from(sid);
        let standard = STANDARD_STRINGS.split_ascii_whitespace();
        if sid < N_STANDARD_STRINGS {
            return standard.into_iter().nth(sid).map(str::to_owned);
        }
        let bytes = self.strings.get(sid - N_STANDARD_STRINGS)?;
        String::from_utf8(bytes.to_vec()).ok()
    }

    /// Glyph names in the order of the glyphs, `.notdef` first.
    fn glyph_names(&self) -> Option<Vec<String>> {
        if self.is_cid {
            return None; // glyphs have numbers, not names
        }
        let sids = self.charset()?;
        Some(sids.into_iter().map(|sid| self.string(sid).unwrap_or_default()).collect())
    }

    fn charset(&self) -> Option<Vec<u16>> {
        let mut sids = vec![0];
        let n = self.n_glyphs;
        match self.charset {
            0 => sids.extend(1..=228), // ISOAdobe: the first standard strings in order
            1 | 2 => return None,      // the expert sets hold no text letters
            at => {
                let format = *self.data.get(at)?;
                let mut at = at + 1;
                while sids.len() < n {
                    let first = u16_at(self.data, at)?;
                    let n_left = match format {
                        0 => 0,
                        1 => u16::from(*self.data.get(at + 2)?),
                        2 => u16_at(self.data, at + 2)?,
                        _ => return None,
                    };
                    at += [2, 3, 4][usize::from(format)];
                    sids.extend((0..=n_left).map(|step| first.saturating_add(step)));
                }
            }
        }
        sids.truncate(n);
        Some(sids)
    }

    /// The built-in encoding: code and glyph name. `None` where the program states none of its own.
    fn encoding(&self) -> Option<Vec<(u8, String)>> {
        if self.encoding < 2 {
            return None; // 0 is StandardEncoding, which every reader assumes; 1 is Expert
        }
        let names = self.glyph_names()?;
        let mut codes = Vec::new();
        let format = *self.data.get(self.encoding)?;
        let n = usize::from(*self.data.get(self.encoding + 1)?);
        let mut at = self.encoding + 2;
        let mut gid = 1;
        for _ in 0..n {
            let first = *self.data.get(at)?;
            let n_left = match format & 0x7F {
                0 => 0,
                1 => *self.data.get(at + 1)?,
                _ => return None,
            };
            at += 1 + usize::from(format & 0x7F);
            for step in 0..=n_left {
                if let Some(name) = names.get(gid) {
                    codes.push((first.saturating_add(step), name.clone()));
                }
                gid += 1;
            }
        }
        if format & 0x80 != 0 {
            for extra in 0..usize::from(*self.data.get(at)?) {
                let code = *self.data.get(at + 1 + 3 * extra)?;
                let name = self.string(u16_at(self.data, at + 2 + 3 * extra)?)?;
                codes.push((code, name));
            }
        }
        Some(codes)
    }
}

/// The escaped operator 12 30 (ROS): the font is CID-keyed.
const CFF_ROS: u16 = 0x0C1E;

/// The items of an INDEX and where it ends.
fn index(data: &[u8], at: usize) -> Option<(Vec<&[u8]>, usize)> {
    let n = usize::from(u16_at(data, at)?);
    if n == 0 {
        return Some((Vec::new(), at + 2));
    }
    let width = usize::from(*data.get(at + 2)?);
    if !(1..=4).contains(&width) {
        return None;
    }
    let offset = |item: usize| {
        let start = at + 3 + item * width;
        let bytes = data.get(start..start + width)?;
        Some(bytes.iter().fold(0, |n, &byte| n << 8 | usize::from(byte)))
    };
    let base = at + 2 + (n + 1) * width; // offsets count from the byte before the data
    let mut items = Vec::with_capacity(n);
    for item in 0..n {
        items.push(data.get(base + offset(item)?..base + offset(item + 1)?)?);
    }
    Some((items, base + offset(n)?))
}

/// The last operand of each operator of a DICT; an escaped operator counts as `0x0C00 + code`.
fn dict_operands(dict: &[u8]) -> HashMap<u16, i32> {
    let mut operands = HashMap::new();
    let mut last = 0;
    let mut at = 0;
    while let Some(&byte) = dict.get(at) {
        at += 1;
        let get = |step: usize| dict.get(at + step).copied().map_or(0, i32::from);
        match byte {
            12 => {
                operands.insert(0x0C00 | u16::from(dict.get(at).copied().unwrap_or(0)), last);
                at += 1;
            }
            0..=21 => {
                operands.insert(u16::from(byte), last);
            }
            28 => {
                last = i32::from(u16_at(dict, at).unwrap_or(0).cast_signed());
                at += 2;
            }
            29 => {
                last = u32_at(dict, at).unwrap_or(0).cast_signed();
                at += 4;
            }
            30 => {
                // A real number, two digits a byte, up to the nibble 0xF.
                while dict.get(at).is_some_and(|byte| byte & 0x0F != 0x0F && byte >> 4 != 0x0F) {
                    at += 1;
                }
                at += 1;
                last = 0;
            }
            32..=246 => last = i32::from(byte) - 139,
            247..=250 => {
                last = (i32::from(byte) - 247) * 256 + get(0) + 108;
                at += 1;
            }
            251..=254 => {
                last = -(i32::from(byte) - 251) * 256 - get(0) - 108;
                at += 1;
            }
            _ => {}
        }
    }
    operands
}

const N_STANDARD_STRINGS: usize = 391;

/// Technical Note 5176, appendix A: the strings every program shares, by their number.
const STANDARD_STRINGS: &str = "\
    .notdef space exclam quotedbl numbersign dollar percent ampersand quoteright parenleft \
    parenright asterisk plus comma hyphen period slash zero one two three four five six seven \
    eight nine colon semicolon less equal greater question at A B C D E F G H I J K L M N O P Q R \
    S T U V W X Y Z bracketleft backslash bracketright asciicircum underscore quoteleft a b c d e \
    f g h i j k l m n o p q r s t u v w x y z braceleft bar braceright asciitilde exclamdown cent \
    sterling fraction yen florin section currency quotesingle quotedblleft guillemotleft \
    guilsinglleft guilsinglright fi fl endash dagger daggerdbl periodcentered paragraph bullet \
    quotesinglbase quotedblbase quotedblright guillemotright ellipsis perthousand questiondown \
    grave acute circumflex tilde macron breve dotaccent dieresis ring cedilla hungarumlaut ogonek \
    caron emdash AE ordfeminine Lslash Oslash OE ordmasculine ae dotlessi lslash oslash oe \
    germandbls onesuperior logicalnot mu trademark Eth onehalf plusminus Thorn onequarter divide \
    brokenbar degree thorn threequarters twosuperior registered minus eth multiply threesuperior \
    copyright Aacute Acircumflex Adieresis Agrave Aring Atilde Ccedilla Eacute Ecircumflex \
    Edieresis Egrave Iacute Icircumflex Idieresis Igrave Ntilde Oacute Ocircumflex Odieresis \
    Ograve Otilde Scaron Uacute Ucircumflex Udieresis Ugrave Yacute Ydieresis Zcaron aacute \
    acircumflex adieresis agrave aring atilde ccedilla eacute ecircumflex edieresis egrave iacute \
    icircumflex idieresis igrave ntilde oacute ocircumflex odieresis ograve otilde scaron uacute \
    ucircumflex udieresis ugrave yacute ydieresis zcaron exclamsmall Hungarumlautsmall \
    dollaroldstyle dollarsuperior ampersandsmall Acutesmall parenleftsuperior parenrightsuperior \
    twodotenleader onedotenleader zerooldstyle oneoldstyle twooldstyle threeoldstyle fouroldstyle \
    fiveoldstyle sixoldstyle sevenoldstyle eightoldstyle nineoldstyle commasuperior \
    threequartersemdash periodsuperior questionsmall asuperior bsuperior centsuperior dsuperior \
    esuperior isuperior lsuperior msuperior nsuperior osuperior rsuperior ssuperior tsuperior ff \
    ffi ffl parenleftinferior parenrightinferior Circumflexsmall hyphensuperior Gravesmall Asmall \
    Bsmall Csmall Dsmall Esmall Fsmall Gsmall Hsmall Ismall Jsmall Ksmall Lsmall Msmall Nsmall \
    Osmall Psmall Qsmall Rsmall Ssmall Tsmall Usmall Vsmall Wsmall Xsmall Ysmall Zsmall \
    colonmonetary onefitted rupiah Tildesmall exclamdownsmall centoldstyle Lslashsmall \
    Scaronsmall Zcaronsmall Dieresissmall Brevesmall Caronsmall Dotaccentsmall Macronsmall \
    figuredash hypheninferior Ogoneksmall Ringsmall Cedillasmall questiondownsmall oneeighth \
    threeeighths fiveeighths seveneighths onethird twothirds zerosuperior foursuperior \
    fivesuperior sixsuperior sevensuperior eightsuperior ninesuperior zeroinferior oneinferior \
    twoinferior threeinferior fourinferior fiveinferior sixinferior seveninferior eightinferior \
    nineinferior centinferior dollarinferior periodinferior commainferior Agravesmall Aacutesmall \
    Acircumflexsmall Atildesmall Adieresissmall Aringsmall AEsmall Ccedillasmall Egravesmall \
    Eacutesmall Ecircumflexsmall Edieresissmall Igravesmall Iacutesmall Icircumflexsmall \
    Idieresissmall Ethsmall Ntildesmall Ogravesmall Oacutesmall Ocircumflexsmall Otildesmall \
    Odieresissmall OEsmall Oslashsmall Ugravesmall Uacutesmall Ucircumflexsmall Udieresissmall \
    Yacutesmall Thornsmall Ydieresissmall 001.000 001.001 001.002 001.003 Black Bold Book Light \
    Medium Regular Roman Semibold";

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A compact font of three glyphs: .notdef, `fi`, `quotedblleft`, at codes 12 and 92.
    pub(in super::super) fn tiny_cff() -> Vec<u8> {
        let mut font = vec![1, 0, 4, 1];
        font.extend([0, 1, 1, 1, 2, b'T']); // name
        let top = 26; // the top DICT's INDEX ends here
        let charset = u8::try_from(top + 2 + 2).unwrap();
        let encoding = charset + 1 + 4;
        let charstrings = encoding + 2 + 2;
        let dict = [28, 0, charset, 15, 28, 0, encoding, 16, 28, 0, charstrings, 17];
        font.extend([0, 1, 1, 1, 1 + u8::try_from(dict.len()).unwrap()]);
        font.extend(dict);
        font.resize(top + 1, 0);
        font.resize(top + 4, 0); // empty string and subroutine indexes
        font.extend([0, 0, 109, 0, 105]); // charset, format 0
        font.extend([0, 2, 12, 92]); // encoding, format 0
        font.extend([0, 3, 1, 1, 2, 3, 4, 14, 14, 14]); // three charstrings
        font
    }

    #[test]
    fn the_standard_strings_stand_at_their_numbers() {
        let strings: Vec<_> = STANDARD_STRINGS.split_ascii_whitespace().collect();
        assert_eq!(strings.len(), N_STANDARD_STRINGS);
        for (sid, name) in [
            (34, "A"),
            (95, "asciitilde"),
            (109, "fi"),
            (137, "emdash"),
            (228, "zcaron"),
            (267, "ffi"),
            (299, "Zsmall"),
            (326, "zerosuperior"),
            (390, "Semibold"),
        ] {
            assert_eq!(strings[sid], name);
        }
    }

    #[test]
    fn a_compact_font_names_its_codes() {
        let font = tiny_cff();
        let cff = Cff::parse(&font).unwrap();
        let codes = cff.encoding().unwrap();
        assert_eq!(codes, [(12, "fi".to_owned()), (92, "quotedblleft".to_owned())]);
    }

    #[test]
    fn a_cut_or_garbled_font_names_nothing_and_does_not_panic() {
        let font = tiny_cff();
        for end in 0..font.len() {
            let _ = Cff::parse(&font[..end]).and_then(|cff| cff.encoding());
            let _ = glyph_texts(&font[..end]);
        }
        for at in 0..font.len() {
            for byte in [0, 1, 0x7F, 0xFF] {
                let mut font = font.clone();
                font[at] = byte;
                let _ = Cff::parse(&font).and_then(|cff| cff.encoding());
            }
        }
    }

    #[test]
    fn glyphs_of_common_fonts_are_known_by_number() {
        let glyphs = known_glyphs();
        for (gid, text) in [(3, " "), (36, "A"), (97, "~"), (98, "Ä"), (137, "ß"), (225, "ˇ")] {
            assert_eq!(glyphs[&gid], text, "{gid}");
        }
    }

    #[test]
    fn a_unicode_subtable_is_read_backwards() {
        let mut cmap = vec![0, 0, 0, 1, 0, 3, 0, 1, 0, 0, 0, 12];
        cmap.extend([0, 4, 0, 32, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0]); // format 4, two segments
        cmap.extend([0, 0x42, 0xFF, 0xFF, 0, 0, 0, 0x41, 0xFF, 0xFF]); // ends, pad, starts
        cmap.extend([0xFF, 0xC4, 0, 1, 0, 0, 0, 0]); // deltas (-60), offsets
        let texts = reverse_cmap(&cmap);
        assert_eq!(texts.get(&5).map(String::as_str), Some("A"));
        assert_eq!(texts.get(&6).map(String::as_str), Some("B"));
    }
}
