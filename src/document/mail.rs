//! Mail: a message, or a mailbox of them, one section for each.
//!
//! Of what a message says twice, as plain text and as HTML, one is read. What is attached is named,
//! not read; a message in a message is read.

mod mime;

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
            let (text, headings, _) = html::render(&words, html::is_xml(&words));
            return body(text, headings, level, false);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::PageStatus::{Empty, Text};
    use super::super::{Format, read_bytes};
    use super::*;

    fn read(message: &str) -> Document {
        let document = read_bytes("a.eml", message.as_bytes().to_vec(), Some("eml")).unwrap();
        assert_eq!(document.source.format, Format::Email);
        check_pages(&document);
        document
    }

    fn check_pages(document: &Document) {
        let mut at = 0;
        for page in &document.pages {
            assert_eq!(page.range.start, at);
            at = page.range.end;
        }
        assert_eq!(at, document.text.len());
    }

    /// A message with this body, and the fields that describe it.
    fn check(content: &str, expected: &str, warning: Option<&str>) {
        let document = read(&format!("From: Ann\nSubject: S\n{content}"));
        let expected = if expected.is_empty() {
            String::new()
        } else {
            format!("S\n\nFrom: Ann\n\n{expected}")
        };
        assert_eq!(document.text, expected, "{content}");
        let found = document.warnings.first().map(|warning| warning.message.as_str());
        assert_eq!(found, warning, "{content}");
    }

    const MESSAGE: &str = "Received: from a by b; Tue, 3 Mar 2020 10:00:01 +0000\r\n\
        From: =?utf-8?q?Ann_L=C3=A9e?= <ann@example.org>\r\n\
        To: \"Ray, Bob\" <bob@example.org>,\r\n carol@example.org (Carol Day);\r\n \
        d@example.org, e@example.org\r\n\
        Date: Tue, 03 Mar 2020 10:00:00 +0000 (GMT)\r\n\
        Subject: =?utf-8?b?VGhlIHF1YXkg4oCTIG9wZW4=?=\r\n\
        Content-Type: text/plain; charset=iso-8859-1\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\n\
        The quay is =\r\nopen; the caf=E9 too.\r\n\r\n\
        > Is it open?\r\n\r\n-- \r\nAnn\r\n";

    #[test]
    fn a_message_is_its_subject_its_people_and_its_words() {
        let document = read(MESSAGE);
        assert_eq!(
            document.text,
            "The quay – open\n\n\
             From: Ann Lée <ann@example.org> | To: Ray, Bob, Carol Day, d@example.org and 1 more | \
             Date: Tue, 03 Mar 2020 10:00:00 +0000\n\n\
             The quay is open; the café too.\n\n> Is it open?\n\n--\nAnn"
        );
        assert_eq!(document.source.title.as_deref(), Some("The quay – open"));
        assert_eq!(document.headings, [Heading { range: 0..17, level: 1 }]);
        assert_eq!(document.pages.len(), 1);
        assert_eq!(document.pages[0].label.as_deref(), Some("The quay – open"));
        assert_eq!(document.warnings, []);
    }

    #[test]
    fn mail_is_known_by_the_fields_that_programs_write() {
        let format = |text: &str, extension: Option<&str>| {
            read_bytes("-", text.as_bytes().to_vec(), extension).unwrap().source.format
        };
        let news = "From: a@b.org (Ann)\nSubject: Quay\nNewsgroups: x.y\nLines: 1\n\nOpen.";
        let mailbox = "From a@b.org  Tue Mar  3 10:00:00 2020\nFrom: a@b.org\n\nOpen.";
        for text in [MESSAGE, news, mailbox, &format!("\u{FEFF}{MESSAGE}")] {
            assert_eq!(format(text, Some("txt")), Format::Email, "{text}");
            assert_eq!(format(text, None), Format::Email, "{text}");
        }
        let memo = "TO: Bob\nFROM: Ann\nDATE: 3 March 2020\nSUBJECT: Quay\n\nIt is open.";
        for text in [
            memo,
            "From here on\nNote: it is 10:00.",
            "From: Ann",
            "Title: a\nAuthor: b\n\nc",
            "From the quay at 10:00\nwe saw it.",
        ] {
            assert_eq!(format(text, Some("txt")), Format::Text, "{text}");
        }
        assert_eq!(format(memo, Some("eml")), Format::Email);
        assert_eq!(format("It is open.", Some("eml")), Format::Text);
        assert_eq!(format(MESSAGE, Some("md")), Format::Markdown);
    }

    #[test]
    fn each_message_of_a_mailbox_is_a_section() {
        let mailbox = "From ann@example.org Tue Mar  3 10:00:00 2020\n\
            From: Ann\nSubject: Quay\n\nIt is open.\n\n>From here on it is deep.\n>>From: x\n\n\
            From the wall one sees: it is 10:00\nand light.\n\n\
            From - Tue Mar  3 11:00:00 2020\n\
            Subject: Re: Quay\n\n\
            From bob@example.org Tue Mar  3 12:00:00 2020\r\n\
            From: Bob\r\nSubject: RE: Quay\r\n\r\nThanks.\r\n";
        let document = read_bytes("-", mailbox.as_bytes().to_vec(), None).unwrap();
        check_pages(&document);
        assert_eq!(
            document.text,
            "Quay\n\nFrom: Ann\n\nIt is open.\n\nFrom here on it is deep.\n>>From: x\n\n\
             From the wall one sees: it is 10:00\nand light.\n\n\
             RE: Quay\n\nFrom: Bob\n\nThanks."
        );
        let pages = document.pages.iter().map(|page| (page.label.as_deref(), page.status));
        assert_eq!(
            pages.collect::<Vec<_>>(),
            [(Some("Quay"), Text), (Some("Re: Quay"), Empty), (Some("RE: Quay"), Text)]
        );
        assert_eq!(document.headings.iter().map(|h| h.level).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(document.source.title.as_deref(), Some("Quay"));
        let other = format!("{mailbox}\nFrom x 1:00\nSubject: Mole\n\nIt is old.\n");
        let document = read_bytes("-", other.as_bytes().to_vec(), None).unwrap();
        assert_eq!((document.pages.len(), document.source.title), (4, None));
    }

    #[test]
    fn of_two_ways_to_say_it_the_plain_one_is_read() {
        let both = |plain: &str, html: &str| {
            format!(
                "Content-Type: multipart/alternative; boundary=x\n\n--x\n\n{plain}\n--x\n\
                 Content-Type: text/html\n\n{html}\n--x--\n"
            )
        };
        check(&both("Plain.", "<p>Rich.</p>"), "Plain.", None);
        check(&both("", "<p>Rich.</p>"), "Rich.", None);
        let long = "It is rich. ".repeat(20);
        check(&both("See it in a browser.", &format!("<p>{long}")), long.trim(), None);
        check("Content-Type: text/html\n\n<meta charset=koi8-r><h1>A</h1>b", "A\n\nb", None);
        check(
            "Content-Type: multipart/related; boundary=x\n\n--x\nContent-Type: text/html\n\n<p>a\n\
             --x\nContent-Type: image/png; name=a.png\n\nAAAA\n--x--",
            "a",
            None,
        );
    }

    #[test]
    fn attachments_are_named_and_messages_in_messages_are_read() {
        let mut content =
            "Content-Type: multipart/mixed; boundary=\"x y\"\n\nfor old programs\n--x y\n\nOne.\n"
                .to_owned();
        content += "--x y\nContent-Type: application/pdf; name=a.pdf\n\nJVBE\n";
        content += "--x y\nContent-Type: text/plain\n\
            Content-Disposition: attachment; filename*=utf-8''%C3%BC.txt\n\nnot read\n";
        content += "--x y\nContent-Type: message/rfc822\n\n\
            From: Bob\nSubject: Mole\n\nIt is old.\n\n";
        content += "--x y\nContent-Type: application/pgp-signature\n\nAAAA\n--x y--\n";
        check(
            &content,
            "One.\n\nMole\n\nFrom: Bob\n\nIt is old.",
            Some("2 attachments were not read: `a.pdf`, `ü.txt`"),
        );
        check(
            "Content-Type: image/png\n\nAAAA",
            "",
            Some("1 attachment was not read: `image/png`"),
        );
        check(
            "\nIt is this:\n\nbegin 644 a.bin\n#0V%T\n`\nend\n\nbegin 4 x\n",
            "It is this:\n\nbegin 4 x",
            Some("1 attachment was not read: `a.bin`"),
        );
        check(
            "\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA1\n\nIt is so.\n\
             -----BEGIN PGP SIGNATURE-----\n\niQ\n-----END PGP SIGNATURE-----\nAnn\n",
            "It is so.\nAnn",
            None,
        );
        let open = "-----BEGIN PGP SIGNATURE-----\n\nbegin 644 a.bin\n#0V%T\nAnn";
        check(&format!("\n{open}"), open, None);
    }

    #[test]
    fn a_digest_is_its_messages() {
        check(
            "Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: A\n\na\n--x\n\
             Content-Type: message/rfc822\n\nSubject: B\n\nb\n--x--",
            "A\n\na\n\nB\n\nb",
            None,
        );
    }

    #[test]
    fn a_saved_page_has_no_sender() {
        let page = "From: <Saved by a browser>\r\nSnapshot-Content-Location: https://example.org\r\n\
            Subject: Quay\r\nMIME-Version: 1.0\r\n\
            Content-Type: multipart/related; type=\"text/html\"; boundary=\"x\"\r\n\r\n\
            --x\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            <h1>The=20quay</h1><p>It is old.\r\n--x\r\nContent-Type: text/css\r\n\r\np {}\r\n--x--\r\n";
        let document = read_bytes("-", page.as_bytes().to_vec(), Some("mhtml")).unwrap();
        assert_eq!(document.text, "The quay\n\nIt is old.");
        assert_eq!(document.source.title.as_deref(), Some("Quay"));
    }

    #[test]
    fn the_encoding_of_a_body_is_the_one_that_is_stated_if_it_can_be() {
        let text = |charset: &str, body: &[u8]| {
            let mut message =
                format!("Subject: S\nContent-Type: text/plain; charset={charset}\n\n").into_bytes();
            message.extend(body);
            let document = read_bytes("-", message, Some("eml")).unwrap();
            let code = document.warnings.first().map(|warning| warning.code);
            (document.text.replacen("S\n\n", "", 1), code)
        };
        let guessed = Some("encoding_guessed");
        assert_eq!(text("koi8-r", b"\xF0\xD2"), ("Пр".into(), None));
        assert_eq!(text("utf-8", b"\xC3\xA9"), ("é".into(), None));
        assert_eq!(text("utf-8", b"Der sch\xF6ne Tag"), ("Der schöne Tag".into(), guessed));
        assert_eq!(text("us-ascii", b"Der sch\xF6ne Tag"), ("Der schöne Tag".into(), guessed));
        assert_eq!(text("x-none", b"Der sch\xC3\xB6ne Tag"), ("Der schöne Tag".into(), None));
        assert_eq!(text("utf-7", b"sch+APY-n"), ("schön".into(), None));
        assert_eq!(text("shift_jis", b"\x8Aw\xFF").1, Some("encoding_errors"));
    }

    #[test]
    fn a_message_may_end_anywhere() {
        let whole = format!(
            "{}--x\r\nContent-Type: text/html\r\n\r\n<p>a</p>\r\n--x\r\n\
             Content-Type: message/rfc822\r\n\r\n{MESSAGE}\r\n--x--\r\n",
            MESSAGE.replace("text/plain", "multipart/mixed; boundary=x; name=\"a")
        );
        for end in 1..whole.len() {
            read_bytes("-", whole.as_bytes()[..end].to_vec(), Some("eml")).unwrap();
        }
    }

    #[test]
    fn parts_in_parts_are_read_to_a_depth() {
        let n = 30_000;
        for open in ["-----BEGIN PGP A-----\n", "begin 644 a\n#0V%T\n"] {
            assert!(read(&format!("From: a\n\n{}", open.repeat(n))).text.len() > n);
        }
        for nest in [
            "Content-Type: message/rfc822\n\n",
            "Content-Type: multipart/mixed; boundary=x#\n\n--x#\n",
            "Content-Type: multipart/digest; boundary=x#\n\n--x#\n\n",
        ] {
            let nested: String = (0..n).map(|n| nest.replace('#', &n.to_string())).collect();
            let document = read(&format!("From: a\n{nested}\n\na"));
            assert_eq!(document.warnings[0].code, "attachments_not_read", "{nest}");
        }
        let parts = "--x\n\na\n".repeat(n);
        let document =
            read(&format!("From: a\nContent-Type: multipart/mixed; boundary=x\n\n{parts}"));
        assert_eq!(document.text.matches("\n\na").count(), n);
    }

    proptest! {
        #[test]
        fn pages_cover_the_text_of_any_mailbox(
            pieces in prop::collection::vec(
                "(From a 1:00\n|>From |Subject: |From: |Content-Type: |text/(plain|html)|multipart/(mixed|alternative|related|digest)|message/rfc822|; boundary=x|; charset=(utf-8|koi8-r|utf-7)|Content-Transfer-Encoding: (base64|quoted-printable)\n|--x\n|--x--\n|=[0-9A-F]{2}|=\\?utf-8\\?[qb]\\?|\\?=|begin 644 a\n|-----BEGIN PGP |[a-zé]{1,9}|[ \n,;<>\"()]|\n\n)",
                0..60,
            )
        ) {
            let mailbox = format!("From a 1:00\nFrom: b\n{}", pieces.concat());
            let document = read_bytes("-", mailbox.into_bytes(), None).unwrap();
            check_pages(&document);
            for heading in &document.headings {
                prop_assert!(document.text.is_char_boundary(heading.range.end));
                prop_assert!(!heading.range.is_empty());
            }
        }

        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut message = b"From: a\nMIME-Version: 1.0\nContent-Type: text/plain;".to_vec();
            message.extend(bytes);
            let _ = read_bytes("-", message, Some("eml"));
        }
    }
}
