//! Mail: a message, or a mailbox of them, one section for each.
//!
//! Of what a message says twice, as plain text and as HTML, one is read. What is attached is named,
//! not read; a message in a message is read.

mod mime;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use self::mime::Entity;
use super::build::Builder;
use super::{Document, DocumentError, Heading, Source, Warning, html, text};

pub(super) fn read(source: Source, bytes: &[u8]) -> Result<Document, DocumentError> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut writer = Writer::default();
    if begins_as_mailbox(bytes) {
        let mut messages = messages(bytes).peekable();
        let first = messages.next().unwrap_or_default();
        writer.level = if messages.peek().is_some() { 2 } else { 1 };
        writer.message(&unquoted(first));
        messages.for_each(|message| writer.message(&unquoted(message)));
    } else {
        writer.level = 1;
        writer.message(bytes);
    }
    Ok(writer.finish(source))
}

/// Whether bytes begin as a message or a mailbox does. One that is named as such needs fewer signs.
pub(super) fn begins_as_mail(bytes: &[u8], is_named: bool) -> bool {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let bytes = &bytes[..bytes.len().min(64 * 1024)];
    let is_mailbox = begins_as_mailbox(bytes);
    let bytes = if is_mailbox { after_line(bytes) } else { bytes };
    let entity = Entity::parse(bytes);
    let (mut n_fields, mut has_sender, mut is_posted) = (0, false, false);
    for (name, value) in entity.fields() {
        n_fields += 1;
        let name = name.to_ascii_lowercase();
        has_sender |= name == b"from";
        // A memo has a sender and a date too; these only programs write.
        is_posted |= match name.as_slice() {
            b"date" => has_time(value),
            name => POSTED.contains(&name),
        };
    }
    if is_mailbox || is_named {
        return has_sender || is_posted;
    }
    entity.is_parted() && has_sender && is_posted && n_fields >= 3
}

/// Fields that programs write, in lower case.
const POSTED: [&[u8]; 12] = [
    b"message-id",
    b"received",
    b"mime-version",
    b"return-path",
    b"delivered-to",
    b"references",
    b"in-reply-to",
    b"content-type",
    b"newsgroups",
    b"nntp-posting-host",
    b"lines",
    b"snapshot-content-location",
];

/// Whether there is a time of day in these bytes.
fn has_time(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|four| {
        four[0].is_ascii_digit()
            && four[1] == b':'
            && four[2].is_ascii_digit()
            && four[3].is_ascii_digit()
    })
}

fn after_line(bytes: &[u8]) -> &[u8] {
    let n = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |at| at + 1);
    &bytes[n..]
}

/// Whether bytes begin with the line that parts the messages of a mailbox, and a field under it.
fn begins_as_mailbox(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(b"From ") else { return false };
    let after = after_line(rest);
    let line = rest[..rest.len() - after.len()].trim_ascii();
    // Some programs leave out who and when.
    let is_parting = line.is_empty() || line == b"-" || has_time(line);
    is_parting && mime::lines(after).next().is_some_and(|line| mime::field_name(line).is_some())
}

/// The messages of a mailbox (RFC 4155), without the lines that part them.
fn messages(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_line(bytes);
    let mut is_over = false;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let (mut n, mut is_after_blank) = (0, false);
        for line in mime::lines(rest) {
            if is_after_blank && begins_as_mailbox(&rest[n..]) {
                let message = &rest[..n];
                rest = after_line(&rest[n..]);
                return Some(message);
            }
            is_after_blank = line.trim_ascii().is_empty();
            n += line.len();
        }
        is_over = true;
        Some(rest)
    })
}

/// A message of a mailbox as it was before lines that begin with `From` got a mark.
fn unquoted(message: &[u8]) -> Cow<'_, [u8]> {
    let is_quoted = |line: &[u8]| {
        let rest = line.trim_ascii_start();
        let n_marks = rest.iter().take_while(|&&byte| byte == b'>').count();
        line.starts_with(b">") && rest[n_marks..].starts_with(b"From ")
    };
    if !message.windows(6).any(|six| six == b">From ") {
        return Cow::Borrowed(message);
    }
    let mut whole = Vec::with_capacity(message.len());
    for line in mime::lines(message) {
        whole.extend(if is_quoted(line) { &line[1..] } else { line });
    }
    Cow::Owned(whole)
}

/// Parts in parts in parts; what lies deeper is not read.
const MOST_LAYERS: usize = 20;

/// The document so far.
#[derive(Default)]
struct Writer {
    builder: Builder,
    /// The rank of a subject.
    level: u8,
    /// The subject that all messages have.
    thread: Option<Option<String>>,
    beside: Beside,
}

/// What is told of a document beside its text.
#[derive(Default)]
struct Beside {
    n_attachments: usize,
    /// The first of them.
    names: Vec<String>,
    /// Bodies whose encoding was not stated, or not rightly.
    n_guessed: usize,
    /// Bodies with places that are not in their encoding.
    n_lossy: usize,
}

/// Attachments that a warning names.
const MOST_NAMES: usize = 5;

impl Beside {
    fn attachment(&mut self, name: &str) {
        self.n_attachments += 1;
        if self.names.len() < MOST_NAMES {
            self.names.push(name.chars().filter(|c| !c.is_control()).take(80).collect());
        }
    }

    /// Counts a body by what was told of its encoding.
    fn count(&mut self, warning: Option<&Warning>) {
        match warning.map(|warning| warning.code) {
            Some("encoding_errors") => self.n_lossy += 1,
            Some(_) => self.n_guessed += 1,
            None => {}
        }
    }

    fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        if self.n_attachments > 0 {
            let n = self.n_attachments;
            let names: Vec<String> = self.names.iter().map(|name| format!("`{name}`")).collect();
            let more = if n > names.len() { ", ..." } else { "" };
            let be = if n == 1 { "was" } else { "were" };
            let message =
                format!("{n} attachment{} {be} not read: {}{more}", plural(n), names.join(", "));
            warnings.push(Warning::new("attachments_not_read", message));
        }
        if self.n_guessed > 0 {
            let n = self.n_guessed;
            let message = format!("{n} message part{} in an encoding that was guessed", plural(n));
            warnings.push(Warning::new("encoding_guessed", message));
        }
        if self.n_lossy > 0 {
            let n = self.n_lossy;
            let message = format!("{n} message part{} with places that became U+FFFD", plural(n));
            warnings.push(Warning::new("encoding_errors", message));
        }
        warnings
    }
}

/// A piece of a message.
enum Block {
    /// A subject and its rank.
    Subject(u8, String),
    /// Who wrote to whom, and when.
    Post(String),
    /// Text, the headings in it, and whether it was plain.
    Body(String, Vec<Heading>, bool),
}

impl Writer {
    fn message(&mut self, bytes: &[u8]) {
        let entity = Entity::parse(bytes);
        let subject = entity.words("subject").map(|subject| line(&subject));
        let thread = subject.as_deref().map(|subject| without_reply(subject).to_owned());
        match &self.thread {
            None => self.thread = Some(thread),
            Some(first) if *first != thread => self.thread = Some(None),
            Some(_) => {}
        }
        self.builder.begin_page(subject);
        let mut blocks = Vec::new();
        Reader { beside: &mut self.beside }.message(&entity, self.level, 0, &mut blocks);
        // Who writes to whom is nothing to read where nothing is written.
        if !blocks.iter().any(|block| matches!(block, Block::Body(..))) {
            return;
        }
        for block in blocks {
            match block {
                Block::Subject(level, words) => self.builder.heading(level, &words),
                Block::Post(words) => self.builder.paragraph(&words),
                Block::Body(text, headings, _) => self.builder.passage(&text, &headings),
            }
        }
    }

    fn finish(mut self, mut source: Source) -> Document {
        self.builder.warnings = self.beside.warnings();
        source.title = self.thread.flatten();
        self.builder.finish(source)
    }
}

/// A subject without the marks of replies.
fn without_reply(subject: &str) -> &str {
    const MARKS: [&str; 5] = ["re:", "fwd:", "fw:", "aw:", "wg:"];
    let mut subject = subject;
    while let Some(mark) = MARKS.iter().find(|mark| {
        subject.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark))
    }) {
        subject = subject[mark.len()..].trim_start();
    }
    subject
}

/// Reads the parts of messages.
struct Reader<'a> {
    beside: &'a mut Beside,
}

impl Reader<'_> {
    fn message(&mut self, entity: &Entity<'_>, level: u8, layer: usize, blocks: &mut Vec<Block>) {
        // A page that a browser saved is packed as a message that nobody wrote.
        if entity.field("snapshot-content-location").is_none() {
            blocks.extend(entity.words("subject").map(|words| Block::Subject(level, words)));
            blocks.extend(post(entity).map(Block::Post));
        }
        self.part(entity, level, layer, blocks);
    }

    fn part(&mut self, entity: &Entity<'_>, level: u8, layer: usize, blocks: &mut Vec<Block>) {
        let content = entity.value("content-type").unwrap_or_default();
        let disposition = entity.value("content-disposition").unwrap_or_default();
        let name = disposition.parameter("filename").or_else(|| content.parameter("name"));
        let boundary = content.parameter("boundary").filter(|boundary| !boundary.is_empty());
        let is_attached = disposition.kind == "attachment";
        let (kind, subkind) = content.kind.split_once('/').unwrap_or(("text", "plain"));
        match (kind, subkind, boundary) {
            _ if layer > MOST_LAYERS => self.beside.attachment("parts within parts"),
            ("multipart", _, Some(boundary)) => {
                self.parts(entity, subkind, &boundary, level, layer + 1, blocks);
            }
            ("message", "rfc822" | "global", _) => {
                let bytes = entity.decoded();
                self.message(&Entity::parse(&bytes), level + 1, layer + 1, blocks);
            }
            ("text", "html", _) if !is_attached => {
                let charset = content.parameter("charset");
                blocks.extend(self.html(&entity.decoded(), charset.as_deref(), level));
            }
            ("text" | "multipart", _, _) if !is_attached && !is_record(subkind) => {
                let charset = content.parameter("charset");
                blocks.extend(self.plain(&entity.decoded(), charset.as_deref(), level));
            }
            // Signatures and receipts are of no use to people.
            ("application", "pgp-signature" | "pkcs7-signature" | "x-pkcs7-signature", _)
            | ("message", "delivery-status" | "disposition-notification", _)
            | ("text", "rfc822-headers", _)
            | ("application", "pgp-encrypted", _) => {}
            _ => self.beside.attachment(name.as_deref().unwrap_or(&content.kind)),
        }
    }

    fn parts(
        &mut self,
        entity: &Entity<'_>,
        subkind: &str,
        boundary: &str,
        level: u8,
        layer: usize,
        blocks: &mut Vec<Block>,
    ) {
        match subkind {
            "alternative" => {
                let mut ways = Vec::new();
                for part in entity.parts(boundary) {
                    let mut way = Vec::new();
                    self.part(&part, level, layer, &mut way);
                    ways.push(way);
                }
                blocks.extend(best(ways));
            }
            "related" => {
                // The first is the text, the others are its pictures and styles.
                let mut parts = entity.parts(boundary);
                if let Some(part) = parts.next() {
                    self.part(&part, level, layer, blocks);
                }
                for part in parts {
                    let disposition = part.value("content-disposition").unwrap_or_default();
                    if disposition.kind == "attachment" {
                        self.part(&part, level, layer, blocks);
                    }
                }
            }
            "digest" => {
                for part in entity.parts(boundary) {
                    if part.field("content-type").is_some() || layer > MOST_LAYERS {
                        self.part(&part, level, layer, blocks);
                    } else {
                        let bytes = part.decoded();
                        self.message(&Entity::parse(&bytes), level + 1, layer + 1, blocks);
                    }
                }
            }
            _ => entity.parts(boundary).for_each(|part| self.part(&part, level, layer, blocks)),
        }
    }

    fn plain(&mut self, bytes: &[u8], charset: Option<&str>, level: u8) -> Option<Block> {
        let words = self.decode(bytes, charset)?;
        let words = self.without_armor(&words);
        let (text, headings) = text::render(&words);
        body(text, headings, level, true)
    }

    fn html(&mut self, bytes: &[u8], charset: Option<&str>, level: u8) -> Option<Block> {
        if charset.is_some() {
            let words = self.decode(bytes, charset)?;
            let page = html::render(&words, html::is_xml(&words));
            return body(page.text, page.headings, level, false);
        }
        // The page itself may state its encoding.
        let page = html::read(super::source("", &[]), bytes).ok()?;
        self.beside.count(page.warnings.first());
        body(page.text, page.headings, level, false)
    }

    /// A body in the encoding that is stated, if it can be, or else in the likeliest.
    fn decode(&mut self, bytes: &[u8], charset: Option<&str>) -> Option<String> {
        if let Some((text, had_errors)) = charset.and_then(|label| mime::decode(label, bytes)) {
            self.beside.n_lossy += usize::from(had_errors);
            return Some(text);
        }
        match text::decode("", bytes) {
            Ok((text, warning)) => {
                self.beside.count(warning.as_ref());
                Some(text)
            }
            Err(_) => {
                self.beside.attachment("binary data");
                None
            }
        }
    }

    /// A text without the files and signatures that are written into it in letters.
    fn without_armor<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        if !text.contains("-----BEGIN PGP ") && !text.contains("begin ") {
            return Cow::Borrowed(text);
        }
        let mut kept = String::with_capacity(text.len());
        let mut rest = text;
        // What has no end is text; its end is looked for once.
        let (mut has_file_end, mut has_armor_end) = (true, true);
        let after_end = |text: &'a str, end: &str, is_looked_for: &mut bool| {
            let at = if *is_looked_for { text.find(end) } else { None };
            *is_looked_for = at.is_some();
            at.map(|at| text[at + end.len()..].split_once('\n').map_or("", |(_, after)| after))
        };
        while !rest.is_empty() {
            let n = rest.find('\n').map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at(n);
            let words = line.trim_end();
            rest = after;
            if words == "-----BEGIN PGP SIGNED MESSAGE-----" {
                while rest.starts_with("Hash:") {
                    rest = rest.split_once('\n').map_or("", |(_, after)| after);
                }
            } else if words.starts_with("-----BEGIN PGP ")
                && let Some(after) = after_end(after, "\n-----END PGP ", &mut has_armor_end)
            {
                rest = after;
            } else if let Some(name) = uuencoded(words, after)
                && let Some(after) = after_end(after, "\nend", &mut has_file_end)
            {
                self.beside.attachment(name);
                rest = after;
            } else {
                kept.push_str(line);
            }
        }
        Cow::Owned(kept)
    }
}

/// The name of the file that a line begins in letters (POSIX `uuencode`).
fn uuencoded<'a>(line: &'a str, after: &str) -> Option<&'a str> {
    let (mode, name) = line.strip_prefix("begin ")?.split_once(' ')?;
    let is_mode = matches!(mode.len(), 3 | 4) && mode.bytes().all(|byte| byte.is_ascii_digit());
    // A line of 45 bytes is M and 60 letters.
    let first = after.lines().next().unwrap_or_default();
    let n_bytes = usize::from(first.bytes().next()?.wrapping_sub(b' ') & 63);
    let is_line = first.is_ascii() && first.len() > n_bytes.div_ceil(3) * 4;
    (is_mode && is_line).then_some(name.trim())
}

/// Text that is a record for programs: a date in a calendar, an address.
fn is_record(subkind: &str) -> bool {
    matches!(subkind, "calendar" | "vcard" | "x-vcard" | "directory" | "rfc822-headers" | "css")
}

/// Text and its headings, which stand below the subject.
fn body(text: String, mut headings: Vec<Heading>, level: u8, is_plain: bool) -> Option<Block> {
    for heading in &mut headings {
        heading.level = heading.level.saturating_add(level).min(6);
    }
    (!text.trim().is_empty()).then_some(Block::Body(text, headings, is_plain))
}

/// Of several ways to say the same the plain one, unless it only says that there is another.
fn best(ways: Vec<Vec<Block>>) -> Vec<Block> {
    let n_bytes = |way: &[Block]| -> usize {
        way.iter().map(|b| if let Block::Body(text, ..) = b { text.len() } else { 0 }).sum()
    };
    let most = ways.iter().map(|way| n_bytes(way)).max().unwrap_or(0);
    let is_plain = |way: &[Block]| {
        let n = n_bytes(way);
        let is_stub = n < 300 && n * 4 < most;
        !is_stub && way.iter().all(|block| matches!(block, Block::Body(_, _, true))) && n > 0
    };
    let plain = ways.iter().position(|way| is_plain(way));
    let last = ways.iter().rposition(|way| n_bytes(way) > 0);
    let at = plain.or(last);
    at.and_then(|at| ways.into_iter().nth(at)).unwrap_or_default()
}

/// One line that says who wrote to whom, and when.
fn post(entity: &Entity<'_>) -> Option<String> {
    let mut fields = Vec::new();
    let from = entity.field("from").map(|raw| people(raw, true)).unwrap_or_default();
    fields.extend(from.first().map(|from| format!("From: {from}")));
    let to = entity.field("to").map(|raw| people(raw, false)).unwrap_or_default();
    if let Some((first, others)) = to.split_at_checked(MOST_PEOPLE.min(to.len())) {
        let more =
            if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        fields.extend((!first.is_empty()).then(|| format!("To: {}{more}", first.join(", "))));
    }
    let date = entity.words("date");
    fields.extend(date.map(|date| {
        // The name of the time zone may follow in parentheses.
        format!("Date: {}", date.split(" (").next().unwrap_or(&date))
    }));
    (!fields.is_empty()).then(|| fields.join(" | "))
}

/// Receivers that are named.
const MOST_PEOPLE: usize = 3;

/// The people in a field, by name where they have one.
fn people(raw: &[u8], with_address: bool) -> Vec<String> {
    let field = mime::unfold(raw);
    let mut people = Vec::new();
    let (mut start, mut is_quoted, mut depth) = (0, false, 0_usize);
    for (at, c) in field.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            '<' | '(' if !is_quoted => depth += 1,
            '>' | ')' if !is_quoted => depth = depth.saturating_sub(1),
            // Some programs write semicolons.
            ',' | ';' if !is_quoted && depth == 0 => {
                people.extend(person(&field[start..at], with_address));
                start = at + 1;
            }
            _ => {}
        }
    }
    people.extend(person(&field[start..], with_address));
    people
}

/// One of them: `Ann Lee <ann@example.org>`, or as it was, `ann@example.org (Ann Lee)`.
fn person(words: &str, with_address: bool) -> Option<String> {
    let words = words.trim();
    let (name, address) = match words.rsplit_once('<') {
        Some((name, address)) => (name, address.trim_end_matches('>')),
        None => match words.split_once('(') {
            Some((address, name)) => (name.trim_end_matches(')'), address),
            None => ("", words),
        },
    };
    let name = mime::words(name.trim().trim_matches('"').replace('\\', "").as_bytes());
    let (name, address) = (line(&name), line(address));
    let person = if name.is_empty() || name == address {
        address
    } else if with_address && !address.is_empty() {
        format!("{name} <{address}>")
    } else {
        name
    };
    (!person.is_empty()).then_some(person)
}

/// Words on one line, a very long one cut.
fn line(words: &str) -> String {
    let words = super::clean::line(words);
    words.chars().take(300).collect()
}
