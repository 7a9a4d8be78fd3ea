//! Gates: what a report must keep to for a job to pass.

use std::fmt;
use std::str::FromStr;

use super::{Facts, Status};

/// Several gates, as `weak:0.2,coverage:0.7,needs-ocr` names them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gates(Vec<Gate>);

/// One gate.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Gate {
    /// A share of the report that may not be higher.
    AtMost(Share, f64),
    /// The share of tenths of the document that are quoted may not be lower.
    Coverage(f64),
    /// No page may need OCR.
    NeedsOcr,
    /// No page may be unreadable.
    FailedPages,
    /// The summary must be in the language asked for.
    Language,
}

/// A share that [`Checks`](super::Checks) has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    Weak,
    Unsupported,
    Repetition,
    CopyRatio,
}

const SHARES: [(&str, Share); 4] = [
    ("weak", Share::Weak),
    ("unsupported", Share::Unsupported),
    ("repetition", Share::Repetition),
    ("copy", Share::CopyRatio),
];

/// A gate that does not exist, or without the number it needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no gate; there are weak:SHARE, unsupported:SHARE, repetition:SHARE, copy:SHARE, coverage:SHARE, needs-ocr, failed-pages, language; a SHARE is between 0 and 1"
)]
pub struct GateError(String);

impl FromStr for Gates {
    type Err = GateError;

    fn from_str(text: &str) -> Result<Self, GateError> {
        text.split(',').map(|name| name.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Gate {
    type Err = GateError;

    fn from_str(text: &str) -> Result<Self, GateError> {
        let wrong = || GateError(text.to_owned());
        let Some((name, share)) = text.split_once(':') else {
            return match text {
                "needs-ocr" => Ok(Self::NeedsOcr),
                "failed-pages" => Ok(Self::FailedPages),
                "language" => Ok(Self::Language),
                _ => Err(wrong()),
            };
        };
        let share: f64 = share.parse().map_err(|_| wrong())?;
        if !(0.0..=1.0).contains(&share) {
            return Err(wrong());
        }
        if name == "coverage" {
            return Ok(Self::Coverage(share));
        }
        let found = SHARES.iter().find(|(known, _)| *known == name).ok_or_else(wrong)?;
        Ok(Self::AtMost(found.1, share))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = SHARES.iter().find(|(_, share)| share == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl Gates {
    /// The gates that a report does not keep to, one sentence each. A document that failed has
    /// failed, and is told of as such.
    #[must_use]
    pub fn unmet(&self, report: &Facts) -> Vec<String> {
        if report.status == Status::Failed {
            return Vec::new();
        }
        self.0.iter().filter_map(|gate| gate.unmet(report)).collect()
    }
}

impl Gate {
    fn unmet(self, report: &Facts) -> Option<String> {
        let (checks, coverage) = (&report.checks, &report.source.coverage);
        match self {
            Self::AtMost(share, most) => {
                let found = match share {
                    Share::Weak => checks.weak,
                    Share::Unsupported => checks.unsupported,
                    Share::Repetition => checks.repetition,
                    Share::CopyRatio => checks.copy_ratio,
                };
                (found > most).then(|| format!("{share} is {found}, more than {most}"))
            }
            Self::Coverage(least) => (checks.coverage < least)
                .then(|| format!("coverage is {}, less than {least}", checks.coverage)),
            Self::NeedsOcr => pages(&coverage.needs_ocr, "need OCR"),
            Self::FailedPages => pages(&coverage.failed, "could not be read"),
            Self::Language => (checks.language_as_asked == Some(false)).then(|| {
                let asked = report.params.language.as_deref().unwrap_or_default();
                let found = checks.language.as_deref().unwrap_or("another language");
                format!("the summary is in {found}, not in {asked}")
            }),
        }
    }
}

fn pages(ranges: &[(u32, u32)], what: &str) -> Option<String> {
    let n: u32 = ranges.iter().map(|(first, last)| last - first + 1).sum();
    (n > 0).then(|| format!("{n} pages {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_read_or_refused_by_name() {
        let gates: Gates = "weak:0.2, coverage:0.7,needs-ocr".parse().unwrap();
        let expected = [Gate::AtMost(Share::Weak, 0.2), Gate::Coverage(0.7), Gate::NeedsOcr];
        assert_eq!(gates, Gates(expected.to_vec()));
        for wrong in ["", "weak", "weak:2", "weak:x", "strong:0.1", "needs-ocr:1", "weak:0.1,,"] {
            let error = wrong.parse::<Gates>().unwrap_err();
            assert!(error.to_string().contains("weak:SHARE"), "{wrong}");
        }
    }
}
