//! Formulas (MathML) on one line: `(a+b)/c`, `x^2`, `√x`.

use super::super::package::xml::{Node, Step};

/// A formula while it is read.
#[derive(Debug, Default)]
pub(super) struct Formula {
    line: String,
    open: Vec<Part>,
    /// The outermost element is a formula.
    is_formula: bool,
}

#[derive(Debug)]
struct Part {
    name: &'static str,
    /// Children that have ended.
    n_children: usize,
    /// Where the child begins that is open.
    start: usize,
    has_words: bool,
}

/// Elements whose children have signs before them: the first, the second, the third.
const PARTS: [(&str, [&str; 3]); 9] = [
    ("mfrac", ["", "/", ""]),
    ("msup", ["", "^", ""]),
    ("msub", ["", "_", ""]),
    ("msubsup", ["", "_", "^"]),
    ("mover", ["", "^", ""]),
    ("munder", ["", "_", ""]),
    ("munderover", ["", "_", "^"]),
    ("msqrt", ["√", "√", "√"]),
    ("mroot", ["√", "^", ""]),
];

impl Formula {
    pub(super) fn take(&mut self, node: Node<'_>) -> Step {
        match node {
            Node::Start(tag) => {
                if matches!(tag.name(), "annotation" | "annotation-xml") {
                    return Step::Over;
                }
                if self.open.is_empty() {
                    self.is_formula = tag.name() == "math";
                }
                if let Some(parent) = self.open.last_mut() {
                    parent.start = self.line.len();
                }
                let name = PARTS.iter().find(|(name, _)| *name == tag.name());
                let name = name.map_or("", |(name, _)| name);
                let has_words = matches!(tag.name(), "mi" | "mn" | "mo" | "mtext" | "ms");
                let start = self.line.len();
                self.open.push(Part { name, n_children: 0, start, has_words });
            }
            Node::Text(text) => {
                if self.open.last().is_some_and(|part| part.has_words) {
                    self.line.push_str(text.trim());
                }
            }
            Node::End(_) => {
                self.open.pop();
                self.end_child();
            }
        }
        Step::In
    }

    /// A child of the open element has ended.
    fn end_child(&mut self) {
        let Some(parent) = self.open.last_mut() else { return };
        let at = parent.n_children;
        parent.n_children += 1;
        let Some((_, signs)) = PARTS.iter().find(|(name, _)| *name == parent.name) else { return };
        let inside = &self.line[parent.start..];
        if inside.is_empty() {
            return;
        }
        if inside.chars().count() > 1 {
            self.line.insert(parent.start, '(');
            self.line.push(')');
        }
        self.line.insert_str(parent.start, signs.get(at).copied().unwrap_or_default());
    }

    /// The line, if it was a formula.
    pub(super) fn finish(self) -> Option<String> {
        Some(self.line).filter(|line| self.is_formula && !line.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::package::xml;
    use super::*;

    #[test]
    fn formulas_are_lines() {
        let check = |xml: &str, expected: Option<&str>| {
            let mut formula = Formula::default();
            xml::read("x", xml.as_bytes(), |node| formula.take(node));
            assert_eq!(formula.finish().as_deref(), expected, "{xml}");
        };
        check(
            "<math><semantics><mrow><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mi>c</mi></mfrac><mo> = </mo>
            <msqrt><msub><mi>x</mi><mn>1</mn></msub></msqrt></mrow><annotation>no</annotation></semantics></math>",
            Some("(a+b)/c=√(x_1)"),
        );
        check(
            "<math><munderover><mo>∑</mo><mi>i</mi><mn>10</mn></munderover><mi>i</mi></math>",
            Some("∑_i^(10)i"),
        );
        check("<office:document-content><mi>a</mi></office:document-content>", None);
    }
}
