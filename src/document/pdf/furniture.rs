//! Running headers, running footers and page numbers: lines that belong to the sheet, not to
//! the text.
//!
//! A line is set apart only if it says the same at the same height of at least three pages near each
//! other, but for numbers that count the pages. Two footnotes that differ by their number do not
//! count pages, so they stay. The line numbers of court papers are set apart too.

use std::collections::HashMap;

use super::page::Sheet;
use super::reflow::Line;

/// Lines looked at from each edge of a page.
const N_EDGE_LINES: usize = 4;
/// Pages that must agree.
const N_AGREEING: usize = 3;
/// Between two agreeing pages at most this many others: left and right pages alternate, and
/// chapters open without a header.
const MAX_PAGE_GAP: usize = 4;
/// Heights that count as the same, in points.
const SAME_HEIGHT: f32 = 3.0;
/// Part of the page, from either edge, where such lines stand.
const EDGE_PART: f32 = 0.17;

/// A line near an edge: what it says, with its numbers apart.
struct Place {
    sheet: usize,
    line: usize,
    y: f32,
    numbers: Vec<i64>,
}

impl Place {
    /// Whether this is what an earlier page's line becomes here: every number is the same or has
    /// gone on by as many as the pages have.
    fn continues(&self, earlier: &Self) -> bool {
        let n_pages = self.sheet - earlier.sheet;
        let n = i64::try_from(n_pages).unwrap_or(i64::MAX);
        (1..=MAX_PAGE_GAP).contains(&n_pages)
            && (self.y - earlier.y).abs() <= SAME_HEIGHT
            && (earlier.numbers.iter().zip(&self.numbers))
                .all(|(a, b)| a == b || a.checked_add(n) == Some(*b))
    }
}

/// Sets the running lines apart and returns how many there were.
pub(super) fn set_apart(sheets: &mut [Sheet]) -> usize {
    let mut seen: HashMap<(bool, String), Vec<Place>> = HashMap::new();
    for (sheet, of) in sheets.iter().enumerate() {
        for (line, is_top) in edge_lines(of) {
            let (said, numbers) = without_numbers(&of.lines[line].text);
            let place = Place { sheet, line, y: of.lines[line].y, numbers };
            seen.entry((is_top, said)).or_default().push(place);
        }
    }
    let mut running: Vec<Vec<usize>> = sheets.iter().map(line_numbers).collect();
    let n_numbers: Vec<usize> = running.iter().map(Vec::len).collect();
    for ((is_top, _), places) in seen {
        for group in agreeing(places) {
            // A number that counts the pages is proof enough; mere repetition is not.
            let counts = group.windows(2).any(|pair| pair[0].numbers != pair[1].numbers);
            for place in group {
                if counts || is_apart(&sheets[place.sheet], place.line, is_top) {
                    running[place.sheet].push(place.line);
                }
            }
        }
    }
    let mut n_apart = 0;
    for ((sheet, mut lines), n_numbers) in sheets.iter_mut().zip(running).zip(n_numbers) {
        let mut of_margin = lines[..n_numbers].to_vec();
        of_margin.sort_unstable();
        lines.sort_unstable();
        lines.dedup();
        n_apart += lines.len();
        let mut taken = Vec::with_capacity(lines.len());
        for &line in lines.iter().rev() {
            let gone = sheet.lines.remove(line);
            // The line after it begins a block if this one did.
            if let Some(next) = sheet.lines.get_mut(line) {
                next.begins_block |= gone.begins_block;
            }
            taken.push((of_margin.binary_search(&line).is_ok(), gone));
        }
        taken.sort_by(|(_, a), (_, b)| b.y.total_cmp(&a.y));
        let (margin, edges): (Vec<_>, Vec<_>) =
            taken.into_iter().partition(|(is_margin, _)| *is_margin);
        sheet.running = edges.into_iter().map(|(_, line)| line.text).collect();
        if !margin.is_empty() {
            let numbers: Vec<String> = margin.into_iter().map(|(_, line)| line.text).collect();
            sheet.running.push(numbers.join(" "));
        }
    }
    n_apart
}

/// The numbers down the margin of a court paper: ten or more, one above the other, in order.
fn line_numbers(sheet: &Sheet) -> Vec<usize> {
    let number = |line: &Line| line.text.parse::<u32>().ok().filter(|&number| number <= 60);
    let mut numbers: Vec<(usize, u32)> = Vec::new();
    for (at, line) in sheet.lines.iter().enumerate() {
        numbers.extend(number(line).map(|number| (at, number)));
    }
    let Some(left) = numbers.iter().map(|&(at, _)| sheet.lines[at].x).reduce(f32::min) else {
        return Vec::new();
    };
    let mut body: Vec<f32> =
        sheet.lines.iter().filter(|line| number(line).is_none()).map(|line| line.x).collect();
    body.sort_by(f32::total_cmp);
    // A stamp or two may stand farther left than the text does.
    let body_left = body.get(body.len() / 4).copied().unwrap_or(f32::INFINITY);
    numbers.retain(|&(at, _)| {
        sheet.lines[at].x - left < 16.0 && sheet.lines[at].end_x < body_left + 1.0
    });
    numbers.sort_by(|a, b| sheet.lines[b.0].y.total_cmp(&sheet.lines[a.0].y));
    let steps = numbers.windows(2).map(|pair| pair[1].1.saturating_sub(pair[0].1));
    let n_steps = steps.filter(|step| (1..=2).contains(step)).count();
    if numbers.len() < 10 || n_steps + 2 < numbers.len() {
        return Vec::new();
    }
    numbers.into_iter().map(|(at, _)| at).collect()
}

/// The lines nearest to the upper and the lower edge, and which edge.
fn edge_lines(sheet: &Sheet) -> Vec<(usize, bool)> {
    let height = sheet.top - sheet.bottom;
    if !(height.is_finite() && height > 0.0) {
        return Vec::new();
    }
    let mut by_height: Vec<usize> = (0..sheet.lines.len()).collect();
    by_height.sort_by(|&a, &b| sheet.lines[b].y.total_cmp(&sheet.lines[a].y));
    let is_near =
        |line: &usize, edge: f32| (sheet.lines[*line].y - edge).abs() < EDGE_PART * height;
    let top = by_height.iter().copied().take(N_EDGE_LINES).filter(|line| is_near(line, sheet.top));
    let bottom = by_height.iter().rev().copied().take(N_EDGE_LINES);
    let bottom = bottom.filter(|line| is_near(line, sheet.bottom));
    top.map(|line| (line, true)).chain(bottom.map(|line| (line, false))).collect()
}

/// A line with `#` for each of its numbers, and the numbers. Roman numerals standing alone count.
fn without_numbers(text: &str) -> (String, Vec<i64>) {
    let (mut said, mut numbers) = (String::with_capacity(text.len()), Vec::new());
    let mut start = 0;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        if c.is_ascii_alphanumeric() {
            continue;
        }
        let word = &text[start..at];
        match word.parse().ok().or_else(|| roman(word)) {
            Some(number) => {
                numbers.push(number);
                said.push('#');
            }
            None => said.push_str(word),
        }
        if at < text.len() {
            said.push(c);
        }
        start = at + c.len_utf8();
    }
    (said, numbers)
}

/// A Roman numeral of one case, such as a preface is numbered with.
fn roman(word: &str) -> Option<i64> {
    let lower = word.to_ascii_lowercase();
    if word.is_empty() || word.len() > 8 || (word != lower && word != word.to_ascii_uppercase()) {
        return None;
    }
    let value = |c| match c {
        'i' => Some(1),
        'v' => Some(5),
        'x' => Some(10),
        'l' => Some(50),
        'c' => Some(100),
        _ => None,
    };
    let values: Vec<i64> = lower.chars().map(value).collect::<Option<_>>()?;
    let signed = values.iter().enumerate().map(|(at, &value)| {
        if values.get(at + 1).is_some_and(|&next| next > value) { -value } else { value }
    });
    Some(signed.sum())
}

/// Runs of at least [`N_AGREEING`] pages that each continue the one before.
fn agreeing(places: Vec<Place>) -> Vec<Vec<Place>> {
    let mut groups: Vec<Vec<Place>> = Vec::new();
    for place in places {
        let continues = |group: &&mut Vec<Place>| {
            group.last().is_some_and(|last| place.sheet > last.sheet && place.continues(last))
        };
        match groups.iter_mut().rev().take(32).find(continues) {
            Some(group) => group.push(place),
            None => groups.push(vec![place]),
        }
    }
    groups.retain(|group| group.len() >= N_AGREEING);
    groups
}

/// Whether white space parts a line from the text that follows it towards the page's middle.
///
/// Lines of a header that has several are tried as one: what counts is the first gap that is
/// wider than a line, and that it comes within [`N_EDGE_LINES`].
fn is_apart(sheet: &Sheet, line: usize, is_top: bool) -> bool {
    let mut inward: Vec<f32> = sheet
        .lines
        .iter()
        .map(
            |other| {
                if is_top { sheet.lines[line].y - other.y } else { other.y - sheet.lines[line].y }
            },
        )
        .filter(|&gap| gap > 1.0)
        .collect();
    inward.sort_by(f32::total_cmp);
    let size = sheet.lines[line].size.max(6.0);
    let mut from = 0.0;
    for gap in inward.into_iter().take(N_EDGE_LINES) {
        if gap - from > 1.5 * size {
            return true;
        }
        from = gap;
    }
    from == 0.0 // nothing else on the page
}

#[cfg(test)]
mod tests {
    use super::super::super::PageStatus;
    use super::super::reflow::{Kind, Line};
    use super::*;

    fn sheet(lines: &[(&str, f32)]) -> Sheet {
        let lines = lines.iter().map(|&(text, y)| Line {
            text: text.into(),
            x: 90.0,
            end_x: 500.0,
            y,
            size: 10.0,
            kind: Kind::Body,
            begins_block: false,
        });
        Sheet {
            lines: lines.collect(),
            running: Vec::new(),
            status: PageStatus::Text,
            has_marks: false,
            image_part: 0.0,
            bottom: 0.0,
            top: 792.0,
        }
    }

    fn left(sheets: &[Sheet]) -> Vec<&str> {
        sheets.iter().flat_map(|sheet| &sheet.lines).map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn headers_and_page_numbers_go() {
        let mut sheets: Vec<_> = (0..5)
            .map(|n| {
                let (body, number) = (format!("body {n}"), format!("Page {} of 5", n + 1));
                sheet(&[("A Report", 750.0), (&body, 600.0), (&number, 30.0)])
            })
            .collect();
        assert_eq!(set_apart(&mut sheets), 10);
        assert_eq!(left(&sheets), ["body 0", "body 1", "body 2", "body 3", "body 4"]);
    }

    #[test]
    fn roman_page_numbers_go() {
        let mut sheets: Vec<_> = ["iii", "iv", "v"]
            .into_iter()
            .map(|number| sheet(&[("text", 600.0), (number, 30.0)]))
            .collect();
        assert_eq!(set_apart(&mut sheets), 3);
    }

    #[test]
    fn like_footnotes_that_do_not_count_pages_stay() {
        let mut sheets: Vec<_> = [12, 19, 31, 33]
            .into_iter()
            .map(|n| {
                let note = format!("{n} Smith 4/6/18 302, at 4.");
                sheet(&[("text", 600.0), (&note, 40.0)])
            })
            .collect();
        assert_eq!(set_apart(&mut sheets), 0);
    }

    #[test]
    fn a_repeated_line_inside_the_text_block_stays() {
        let mut sheets: Vec<_> = (0..4)
            .map(|_| {
                sheet(&[
                    ("Id.", 60.0),
                    ("body", 72.0),
                    ("body", 84.0),
                    ("body", 96.0),
                    ("x", 108.0),
                    ("y", 120.0),
                ])
            })
            .collect();
        assert_eq!(set_apart(&mut sheets), 0);
    }

    #[test]
    fn line_numbers_down_the_margin_go() {
        let numbers: Vec<String> = (1..=28).map(|n: u8| n.to_string()).collect();
        let mut page = sheet(&[("text", 600.0), ("2 more", 580.0), ("5", 560.0)]);
        let mut y = 720.0;
        for number in numbers {
            y -= 24.0;
            page.lines.push(Line {
                text: number,
                x: 60.0,
                end_x: 70.0,
                y,
                ..page.lines[0].clone()
            });
        }
        let mut sheets = [page];
        assert_eq!(set_apart(&mut sheets), 28);
        assert_eq!(left(&sheets), ["text", "2 more", "5"]);
    }

    #[test]
    fn two_pages_are_not_enough() {
        let mut sheets: Vec<_> =
            (0..2).map(|_| sheet(&[("A Report", 750.0), ("body", 600.0)])).collect();
        assert_eq!(set_apart(&mut sheets), 0);
    }
}
