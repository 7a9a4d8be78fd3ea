//! Paragraphs as word processors keep them: one after another, in cells of tables and in boxes,
//! with notes that belong behind the paragraph they are marked in.
//!
//! A table is held until it ends, for only then it is known whether it has data or arranges a page.
//! Everything else goes to the document at once.

use super::Builder;
use crate::document::AsideKind;

/// Tables and boxes inside each other; what is inside more of them goes to the last.
const MAX_DEPTH: usize = 12;

/// A heading with more text than this is none, and a cell with more arranges a page.
const MAX_LINE_BYTES: usize = 1000;

/// A paragraph, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::document) enum Block {
    Heading(u8, String),
    /// Line breaks are kept.
    Paragraph(String),
    Item {
        depth: usize,
        /// The bullet or number before it.
        mark: String,
        words: String,
    },
    Aside(AsideKind, String),
    /// A row of a table, its cells as one line.
    Row(String),
    /// The end of a table, or its beginning.
    Edge,
}

impl Block {
    fn words(&self) -> &str {
        match self {
            Self::Heading(_, words)
            | Self::Paragraph(words)
            | Self::Item { words, .. }
            | Self::Aside(_, words)
            | Self::Row(words) => words,
            Self::Edge => "",
        }
    }

    fn is_empty(&self) -> bool {
        *self != Self::Edge && self.words().trim().is_empty()
    }
}

/// The words of some blocks on one line, with the numbers of items.
pub(in crate::document) fn join(blocks: &[Block]) -> String {
    let mut line = String::new();
    let blocks = blocks.iter().filter(|block| !block.words().trim().is_empty());
    for (at, block) in blocks.enumerate() {
        if at > 0 {
            line.push(' ');
        }
        if let Block::Item { mark, .. } = block
            && mark != "-"
        {
            line.push_str(mark);
            line.push(' ');
        }
        line.push_str(block.words());
    }
    line
}

/// A document that paragraphs flow into.
#[derive(Debug, Default)]
pub(in crate::document) struct Flow {
    pub(in crate::document) builder: Builder,
    frames: Vec<Frame>,
    /// Frames that were opened and are too deep to be kept.
    n_ignored: usize,
}

/// What is open and holds paragraphs back.
#[derive(Debug)]
enum Frame {
    Table(Table),
    Box(Vec<Block>),
}

#[derive(Debug, Default)]
struct Table {
    rows: Vec<Vec<Vec<Block>>>,
    /// There is a table in it.
    holds_table: bool,
}

impl Flow {
    /// Adds a block to what is open: a cell, a box, or the document.
    pub(in crate::document) fn put(&mut self, block: Block) {
        if block.is_empty() {
            return;
        }
        match self.frames.last_mut() {
            None => write(&mut self.builder, &block),
            Some(Frame::Box(blocks)) => blocks.push(block),
            Some(Frame::Table(table)) => table.cell().push(block),
        }
    }

    pub(in crate::document) fn begin_table(&mut self) {
        self.begin(Frame::Table(Table::default()));
    }

    pub(in crate::document) fn begin_row(&mut self) {
        if let Some(table) = self.table() {
            table.rows.push(Vec::new());
        }
    }

    pub(in crate::document) fn begin_cell(&mut self) {
        if let Some(table) = self.table() {
            table.row().push(Vec::new());
        }
    }

    /// Ends the innermost table, and boxes that are still open in it.
    pub(in crate::document) fn end_table(&mut self) {
        if self.ends_ignored() {
            return;
        }
        while let Some(frame) = self.frames.pop() {
            match frame {
                Frame::Box(blocks) => blocks.into_iter().for_each(|block| self.put(block)),
                Frame::Table(table) => {
                    if let Some(outer) = self.table() {
                        outer.holds_table = true;
                    }
                    table.into_blocks().into_iter().for_each(|block| self.put(block));
                    return;
                }
            }
        }
    }

    /// What comes now belongs to a note or a box, not to the text around it.
    pub(in crate::document) fn begin_box(&mut self) {
        self.begin(Frame::Box(Vec::new()));
    }

    /// Ends the innermost box, and tables that are still open in it. Returns what it holds.
    pub(in crate::document) fn end_box(&mut self) -> Vec<Block> {
        if self.ends_ignored() {
            return Vec::new();
        }
        while let Some(frame) = self.frames.pop() {
            match frame {
                Frame::Box(blocks) => return blocks,
                Frame::Table(table) => {
                    table.into_blocks().into_iter().for_each(|block| self.put(block));
                }
            }
        }
        Vec::new()
    }

    /// Whether nothing has been put in.
    pub(in crate::document) fn is_empty(&self) -> bool {
        self.builder.len() == 0
            && self.frames.iter().all(|frame| match frame {
                Frame::Box(blocks) => blocks.is_empty(),
                Frame::Table(table) => table.rows.iter().flatten().all(Vec::is_empty),
            })
    }

    /// Ends what is still open. Returns the document.
    pub(in crate::document) fn finish(mut self) -> Builder {
        self.n_ignored = 0;
        while let Some(frame) = self.frames.pop() {
            let blocks = match frame {
                Frame::Box(blocks) => blocks,
                Frame::Table(table) => table.into_blocks(),
            };
            blocks.into_iter().for_each(|block| self.put(block));
        }
        self.builder
    }

    fn begin(&mut self, frame: Frame) {
        if self.n_ignored > 0 || self.frames.len() >= MAX_DEPTH {
            self.n_ignored += 1;
        } else {
            self.frames.push(frame);
        }
    }

    fn ends_ignored(&mut self) -> bool {
        let is_ignored = self.n_ignored > 0;
        self.n_ignored = self.n_ignored.saturating_sub(1);
        is_ignored
    }

    /// The table whose cell is open.
    fn table(&mut self) -> Option<&mut Table> {
        match self.frames.last_mut() {
            Some(Frame::Table(table)) if self.n_ignored == 0 => Some(table),
            _ => None,
        }
    }
}

impl Table {
    fn row(&mut self) -> &mut Vec<Vec<Block>> {
        if self.rows.is_empty() {
            self.rows.push(Vec::new());
        }
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }

    fn cell(&mut self) -> &mut Vec<Block> {
        let row = self.row();
        if row.is_empty() {
            row.push(Vec::new());
        }
        let last = row.len() - 1;
        &mut row[last]
    }

    /// Whether it arranges a page: it holds headings, tables or long text, or it is one column.
    fn arranges(&self) -> bool {
        let is_page = |cell: &Vec<Block>| {
            let has_heading = cell.iter().any(|block| matches!(block, Block::Heading(..)));
            let n_bytes: usize = cell.iter().map(|block| block.words().len()).sum();
            has_heading || n_bytes > MAX_LINE_BYTES
        };
        let is_one_column =
            self.rows.iter().all(|row| row.iter().filter(|cell| !cell.is_empty()).count() < 2);
        self.holds_table || is_one_column || self.rows.iter().flatten().any(is_page)
    }

    /// Its rows, each of them one line, and the notes in it; or what is in its cells.
    fn into_blocks(self) -> Vec<Block> {
        if self.arranges() {
            return self.rows.into_iter().flatten().flatten().collect();
        }
        let mut blocks = vec![Block::Edge];
        let mut notes = Vec::new();
        for row in self.rows {
            let mut cells = Vec::with_capacity(row.len());
            for cell in row {
                let (asides, words): (Vec<Block>, Vec<Block>) =
                    cell.into_iter().partition(|block| matches!(block, Block::Aside(..)));
                cells.push(join(&words));
                notes.extend(asides);
            }
            while cells.last().is_some_and(String::is_empty) {
                cells.pop();
            }
            if !cells.is_empty() {
                blocks.push(Block::Row(cells.join(" | ")));
            }
        }
        blocks.push(Block::Edge);
        blocks.extend(notes);
        blocks
    }
}

fn write(builder: &mut Builder, block: &Block) {
    match block {
        Block::Heading(level, words) if words.len() <= MAX_LINE_BYTES => {
            builder.heading(*level, words);
        }
        Block::Heading(_, words) => builder.paragraph(words),
        Block::Paragraph(words) if words.trim().contains('\n') => {
            let lines = words.split('\n').map(crate::document::clean::line);
            let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
            builder.passage(&lines.join("\n"), &[]);
        }
        Block::Paragraph(words) => builder.paragraph(words),
        Block::Item { depth, mark, words } => builder.item(*depth, &format!("{mark} {words}")),
        Block::Aside(kind, words) => builder.aside(*kind, words),
        Block::Row(words) => builder.line(words),
        Block::Edge => builder.end_lines(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::document::{Document, Format, Source};

    fn finish(flow: Flow) -> Document {
        flow.finish().finish(Source {
            uri: "-".into(),
            sha256: String::new(),
            version: None,
            n_bytes: 0,
            format: Format::Docx,
            title: None,
        })
    }

    fn paragraph(words: &str) -> Block {
        Block::Paragraph(words.into())
    }

    /// Rows of cells, each of them given by its blocks.
    fn table(flow: &mut Flow, rows: &[&[&[Block]]]) {
        flow.begin_table();
        for row in rows {
            flow.begin_row();
            for cell in *row {
                flow.begin_cell();
                cell.iter().for_each(|block| flow.put(block.clone()));
            }
        }
        flow.end_table();
    }

    #[test]
    fn data_is_rows_and_notes_come_behind_the_table() {
        let mut flow = Flow::default();
        flow.put(Block::Item { depth: 0, mark: "-".into(), words: "one".into() });
        flow.put(Block::Item { depth: 1, mark: "a)".into(), words: "two".into() });
        let note = Block::Aside(AsideKind::Footnote, "[1] n".into());
        let (a, b, c) =
            ([paragraph("a"), note], [paragraph("b\nc"), paragraph("d")], [paragraph("")]);
        let item = |mark: &str| Block::Item { depth: 0, mark: mark.into(), words: "x".into() };
        table(&mut flow, &[&[&[item("-")], &[item("1."), item("2.")]]]);
        table(&mut flow, &[&[&a, &b], &[&c], &[&c, &c, &[paragraph("e")]]]);
        flow.put(paragraph("f \n\n g"));
        let document = finish(flow);
        assert_eq!(
            document.text,
            "- one\n  a) two\n\nx | 1. x 2. x\n\na | b c d\n| | e\n\n[1] n\n\nf\ng"
        );
        assert_eq!(&document.text[document.asides[0].range.clone()], "[1] n\n\n");
    }

    #[test]
    fn tables_that_arrange_a_page_are_paragraphs() {
        let (a, b) = ([paragraph("a")], [paragraph("b"), paragraph("c")]);
        let mut flow = Flow::default();
        table(&mut flow, &[&[&b], &[&a]]);
        table(&mut flow, &[&[&a, &[Block::Heading(2, "h".into()), paragraph("d")]]]);
        flow.begin_table();
        flow.begin_row();
        flow.begin_cell();
        table(&mut flow, &[&[&a, &b]]);
        flow.begin_cell();
        flow.put(paragraph("e"));
        flow.end_table();
        let document = finish(flow);
        assert_eq!(document.text, "b\n\nc\n\na\n\na\n\nh\n\nd\n\na | b c\n\ne");
        assert_eq!(document.headings.len(), 1);
    }

    #[test]
    fn a_box_keeps_its_blocks_until_they_are_wanted() {
        let mut flow = Flow::default();
        flow.begin_box();
        flow.begin_table();
        flow.put(paragraph("in"));
        let inside = flow.end_box();
        flow.put(paragraph("host"));
        assert_eq!(join(&inside), "in");
        inside.into_iter().for_each(|block| flow.put(block));
        assert!(flow.end_box().is_empty());
        assert_eq!(finish(flow).text, "host\n\nin");
    }

    #[test]
    fn deep_tables_cost_no_more_than_their_length() {
        let n = 100_000;
        let mut flow = Flow::default();
        for _ in 0..n {
            flow.begin_table();
            flow.begin_row();
            flow.begin_cell();
            flow.put(paragraph("a"));
        }
        for _ in 0..n {
            flow.end_table();
        }
        assert_eq!(finish(flow).text.matches('a').count(), n);
    }

    proptest! {
        #[test]
        fn no_words_are_lost_whatever_opens_and_ends(steps in prop::collection::vec(0..8, 0..60)) {
            let mut flow = Flow::default();
            let mut n = 0;
            for step in steps {
                match step {
                    0 => flow.begin_table(),
                    1 => flow.begin_row(),
                    2 => flow.begin_cell(),
                    3 => flow.end_table(),
                    4 => flow.begin_box(),
                    5 => flow.end_box().into_iter().for_each(|block| flow.put(block)),
                    6 => {
                        n += 1;
                        flow.put(paragraph("word"));
                    }
                    _ => {
                        n += 1;
                        flow.put(Block::Aside(AsideKind::Footnote, "word".into()));
                    }
                }
            }
            let document = finish(flow);
            prop_assert_eq!(document.text.matches("word").count(), n);
        }
    }
}
