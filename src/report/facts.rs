//! What can be told from a report that was written before: whether it still stands, and how it went.

use serde::{Deserialize, Serialize};

use super::{Checks, Coverage, Report, Status};

/// What a report says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// See [`Report::key`].
    pub key: String,
    /// Whether the document was summarized.
    pub status: Status,
    /// Why not, where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of the document.
    pub source: SourceFacts,
    /// Of what was asked for.
    pub params: ParamFacts,
    /// What was checked.
    pub checks: Checks,
}

/// What is told of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// As it was named.
    #[serde(default)]
    pub uri: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Version of an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `pages` or `sections`.
    pub pages_are: String,
    /// How many.
    pub n_pages: u32,
    /// What became of them.
    pub coverage: Coverage,
}

/// What is told of what was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParamFacts {
    /// Language asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// How the facts begin in a report that is no JSON.
const OPEN: &str = "<!-- longsum ";
const CLOSE: &str = " -->";

impl Facts {
    /// The facts of a report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let source = &report.source;
        Self {
            key: report.key.clone().unwrap_or_default(),
            status: report.status,
            reason: report.reason.clone(),
            source: SourceFacts {
                uri: source.uri.clone(),
                sha256: source.sha256.clone(),
                version: source.version.clone(),
                pages_are: source.pages_are.to_owned(),
                n_pages: source.n_pages,
                coverage: source.coverage.clone(),
            },
            params: ParamFacts { language: report.params.language.clone() },
            checks: report.checks.clone(),
        }
    }

    /// The facts in a report that was written, in JSON or with a [`comment`](Facts::comment) at its
    /// end; none in anything else.
    #[must_use]
    pub fn read(report: &[u8]) -> Option<Self> {
        if report.first() == Some(&b'{') {
            return serde_json::from_slice(report).ok();
        }
        let text = std::str::from_utf8(report).ok()?;
        let comment = text.trim_end().strip_suffix(CLOSE)?;
        let (_, facts) = comment.rsplit_once(OPEN)?;
        serde_json::from_str(facts).ok()
    }

    /// The facts as a comment that Markdown and HTML do not show.
    #[must_use]
    pub fn comment(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        // In JSON these stand in strings alone; no document may end the comment.
        let json = json.replace('<', "\\u003c").replace('>', "\\u003e");
        format!("{OPEN}{json}{CLOSE}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_from_a_comment_whatever_they_say() {
        let facts = Facts {
            key: "ab".into(),
            status: Status::Failed,
            reason: Some("`--><script>` <!-- longsum {} --> \" \n".into()),
            source: SourceFacts {
                uri: "s3://b/a.txt".into(),
                sha256: "cd".into(),
                version: Some("\"1\"".into()),
                pages_are: "pages".into(),
                n_pages: 3,
                coverage: Coverage { text: vec![(1, 3)], ..Coverage::default() },
            },
            params: ParamFacts { language: None },
            checks: Checks { coverage: 0.7, weak: 1.0 / 3.0, ..Checks::default() },
        };
        let comment = facts.comment();
        assert_eq!(comment.matches("-->").count(), 1);
        assert_eq!(Facts::read(format!("# Title\n\n{comment}\n").as_bytes()), Some(facts));
        assert_eq!(Facts::read(b"# Title\n"), None);
        assert_eq!(Facts::read(b"{}"), None);
        assert_eq!(Facts::read(b""), None);
    }
}
