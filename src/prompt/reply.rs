//! A model's reply as plain statements: what models add around them is taken off.

use std::collections::HashSet;

/// Labels that small models write before the answer, in lower case.
const LABELS: [&str; 10] = [
    "notes",
    "new notes",
    "summary",
    "new summary",
    "updated summary",
    "final summary",
    "running summary",
    "statements",
    "answer",
    "key points",
];

/// How a sentence about the answer begins, instead of the answer.
const PREAMBLES: [&str; 8] =
    ["sure", "certainly", "of course", "okay", "here are", "here is", "here's", "below are"];

/// How a sentence to the reader begins, after the answer.
const FAREWELLS: [&str; 4] = ["i hope this", "i hope these", "let me know", "please let me know"];

/// The statements of a reply, one a line, in order and each only once.
///
/// Thoughts in `<think>`, bullets, numbers, headings, emphasis, code fences, phrases such as
/// "Here are the notes:" and blank lines go. Of lines that differ only in case, spacing and
/// punctuation the first stays.
#[must_use]
pub fn lines(reply: &str) -> Vec<String> {
    let reply = without_thoughts(reply);
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    for line in reply.lines() {
        let heading = is_heading(line);
        let line = plain(line);
        let key = key(&line);
        let words = line.to_lowercase();
        let begins = |phrases: &[&str]| phrases.iter().any(|phrase| begins_with(&words, phrase));
        let preamble = kept.is_empty()
            && (line.ends_with([':', '：']) || (begins(&PREAMBLES) && talks_of_itself(&words)));
        if key.is_empty()
            || heading
            || preamble
            || begins(&FAREWELLS)
            || LABELS.contains(&key.as_str())
        {
            continue;
        }
        if seen.insert(key) {
            kept.push(line);
        }
    }
    kept
}

/// What follows the last thought; nothing of a thought that never ends.
fn without_thoughts(reply: &str) -> &str {
    let reply = reply.rsplit_once("</think>").map_or(reply, |(_, answer)| answer);
    reply.split_once("<think>").map_or(reply, |(answer, _)| answer)
}

/// A line with hash signs is a heading, unless it is a sentence.
fn is_heading(line: &str) -> bool {
    let line = line.trim();
    line.starts_with('#')
        && line.trim_start_matches('#').starts_with(char::is_whitespace)
        && !line.trim_end_matches(['*', '_']).ends_with(['.', '!', '?', '。'])
}

/// A line without the marks that make it a heading, a list item or a quotation.
fn plain(line: &str) -> String {
    let mut line = line.trim().trim_matches('`').trim();
    loop {
        let shorter = without_label(without_mark(line)).trim_start();
        if shorter.len() == line.len() {
            break;
        }
        line = shorter;
    }
    line.replace("**", "").replace("__", "").trim().to_owned()
}

/// Without a bullet, a number or hash signs, each only with a space behind it.
fn without_mark(line: &str) -> &str {
    let signs = line.trim_start_matches('#');
    if signs.len() < line.len() {
        return if signs.starts_with(char::is_whitespace) { signs } else { line };
    }
    let mark = line.trim_start_matches('(');
    let digits = mark.trim_start_matches(|c: char| c.is_ascii_digit());
    let n_digits = mark.len() - digits.len();
    let behind = if (1..=3).contains(&n_digits) {
        digits.strip_prefix([')', '.'])
    } else {
        line.strip_prefix(['-', '*', '•', '–', '—', '+', '·', '▪', '>'])
    };
    match behind {
        Some(rest) if rest.is_empty() || rest.starts_with(char::is_whitespace) => rest,
        _ => line,
    }
}

/// Without "Summary:" and the like.
fn without_label(line: &str) -> &str {
    match line.split_once(':') {
        Some((label, rest)) if !rest.is_empty() && LABELS.contains(&key(label).as_str()) => rest,
        _ => line,
    }
}

/// Whether the words end where the phrase does.
fn begins_with(words: &str, phrase: &str) -> bool {
    words.strip_prefix(phrase).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

fn talks_of_itself(words: &str) -> bool {
    ["note", "summar", "statement", "point", "fact"].iter().any(|word| words.contains(word))
}

/// Letters and digits in lower case, words one space apart: what makes two lines the same.
fn key(line: &str) -> String {
    line.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::lines;

    fn check(reply: &str, expected: &[&str]) {
        assert_eq!(lines(reply), expected, "{reply:?}");
    }

    #[test]
    fn list_marks_and_headings_go() {
        check(
            "- One.\n* Two.\n• Three.\n1. Four.\n2) Five.\n(3) Six.",
            &["One.", "Two.", "Three.", "Four.", "Five.", "Six."],
        );
        check(
            "## Notes\n### What follows\n# A sentence.\n**The bridge** opened in 1932.\n```\n> Quoted.\n```",
            &["A sentence.", "The bridge opened in 1932.", "Quoted."],
        );
    }

    #[test]
    fn numbers_that_belong_to_the_sentence_stay() {
        check(
            "3.5 million people came.\n1998 was dry.\n-5 degrees.\n#1 in the list.\n2010. A year.",
            &[
                "3.5 million people came.",
                "1998 was dry.",
                "-5 degrees.",
                "#1 in the list.",
                "2010. A year.",
            ],
        );
    }

    #[test]
    fn talk_about_the_answer_goes() {
        check("Sure! Here are the notes:\nA fell.\nI hope this helps!", &["A fell."]);
        check("Here is the summary of the text.\nA fell.", &["A fell."]);
        check("Summary: A fell.", &["A fell."]);
        check("**Notes:**\n- A fell.", &["A fell."]);
        check("以下是要点：\n甲来了。", &["甲来了。"]);
    }

    #[test]
    fn statements_that_only_resemble_talk_stay() {
        check(
            "Here is where the river ends.\nSurely it rained.",
            &["Here is where the river ends.", "Surely it rained."],
        );
        check("A fell.\nThree things followed:\nB.", &["A fell.", "Three things followed:", "B."]);
    }

    #[test]
    fn thoughts_go_even_if_they_never_end() {
        check("<think>\nhm\n</think>\nA fell.", &["A fell."]);
        check("hm\n</think>\n\nA fell.", &["A fell."]);
        check("A fell.\n<think>what else", &["A fell."]);
        check("<think>never done", &[]);
    }

    #[test]
    fn a_line_said_twice_is_kept_once() {
        check("A fell.\n- a fell\nB stood.\nA  fell!", &["A fell.", "B stood."]);
    }

    #[test]
    fn an_empty_reply_has_no_lines() {
        check("", &[]);
        check("\n - \n***\n---\n", &[]);
    }
}
