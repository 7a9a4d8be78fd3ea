//! A line plot as SVG: axes, a legend, nothing else. It takes the colours of the page it stands on.

use std::fmt::Write;

/// A plot.
#[derive(Debug, Clone)]
pub struct Plot {
    /// Above it.
    pub title: String,
    /// Below the horizontal axis.
    pub x: String,
    /// Beside the vertical axis.
    pub y: String,
    /// What is shown.
    pub lines: Vec<Line>,
}

/// A line of it.
#[derive(Debug, Clone)]
pub struct Line {
    /// In the legend.
    pub name: String,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 420.0;
/// Space around the plot: left, right, top, bottom.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 56.0;
/// Marks of an axis, about.
const N_TICKS: f64 = 6.0;
/// Colours that differ in lightness too, for those who see few (Okabe and Ito 2008).
const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f", "#8c564b"];

impl Plot {
    /// The plot as an SVG document.
    #[must_use]
    pub fn svg(&self) -> String {
        let all = || self.lines.iter().flat_map(|line| &line.points);
        let (x, y) = (Axis::of(all().map(|p| p.0)), Axis::of(all().map(|p| p.1)));
        let at_x = |v: f64| LEFT + x.share(v) * (WIDTH - LEFT - RIGHT);
        let at_y = |v: f64| HEIGHT - BOTTOM - y.share(v) * (HEIGHT - TOP - BOTTOM);
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let mut svg = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif" font-size="13" fill="currentColor" role="img">"#
        );
        let _ = writeln!(svg, "<title>{}</title>", escaped(&self.title));
        let _ = writeln!(
            svg,
            r#"<style>svg{{color:#222;background:#fff}}@media (prefers-color-scheme:dark){{svg{{color:#ddd;background:#181818}}}}</style>"#
        );
        let _ = writeln!(
            svg,
            r#"<text x="{LEFT}" y="24" font-size="15">{}</text>"#,
            escaped(&self.title)
        );
        for tick in x.ticks() {
            let at = at_x(tick);
            let _ = writeln!(
                svg,
                r#"<path d="M{at:.1} {TOP}V{bottom}" stroke="currentColor" opacity=".12"/><text x="{at:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
                bottom + 20.0,
                number(tick)
            );
        }
        for tick in y.ticks() {
            let at = at_y(tick);
            let _ = writeln!(
                svg,
                r#"<path d="M{LEFT} {at:.1}H{right}" stroke="currentColor" opacity=".12"/><text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
                LEFT - 8.0,
                at + 4.5,
                number(tick)
            );
        }
        let _ = writeln!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{}</text><text transform="translate(18 {:.1})rotate(-90)" text-anchor="middle">{}</text>"#,
            f64::midpoint(LEFT, right),
            HEIGHT - 12.0,
            escaped(&self.x),
            f64::midpoint(TOP, bottom),
            escaped(&self.y)
        );
        for (k, (line, colour)) in self.lines.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let points: Vec<String> =
                line.points.iter().map(|p| format!("{:.1},{:.1}", at_x(p.0), at_y(p.1))).collect();
            #[expect(clippy::cast_precision_loss, reason = "a few lines")]
            let row = TOP + 12.0 + k as f64 * 20.0;
            let _ = writeln!(
                svg,
                r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="1.8"/><path d="M{:.1} {:.1}h20" stroke="{colour}" stroke-width="3"/><text x="{:.1}" y="{row:.1}">{}</text>"#,
                points.join(" "),
                right + 14.0,
                row - 4.5,
                right + 40.0,
                escaped(&line.name)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// From where to where, and how far its marks are apart.
struct Axis {
    from: f64,
    to: f64,
    step: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values
            .filter(|v| v.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let span = if high > low { high - low } else { low.abs().max(1.0) };
        let rough = span / N_TICKS;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|s| *s >= rough);
        let step = step.unwrap_or(power);
        let (from, to) = ((low / step).floor() * step, (high / step).ceil() * step);
        Self { from, to: if to > from { to } else { from + step }, step }
    }

    fn share(&self, value: f64) -> f64 {
        (value - self.from) / (self.to - self.from)
    }

    fn ticks(&self) -> Vec<f64> {
        let mut ticks = Vec::new();
        let mut tick = self.from;
        while tick <= self.to + self.step * 1e-6 && ticks.len() < 32 {
            ticks.push(tick);
            tick += self.step;
        }
        ticks
    }
}

/// A mark as people write it.
fn number(value: f64) -> String {
    let text = if value.abs() >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    // Thousands apart.
    let digits = text.trim_start_matches('-');
    let mut parts: Vec<&str> =
        digits.as_bytes().rchunks(3).map(|c| std::str::from_utf8(c).unwrap_or_default()).collect();
    parts.reverse();
    format!("{}{}", if value < 0.0 { "-" } else { "" }, parts.join(","))
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            c if c.is_control() => safe.push('\u{FFFD}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        let ticks = |values: &[f64]| {
            Axis::of(values.iter().copied()).ticks().into_iter().map(number).collect::<Vec<_>>()
        };
        assert_eq!(ticks(&[0.0, 20_000.0]), ["0", "5,000", "10,000", "15,000", "20,000"]);
        assert_eq!(ticks(&[2.31, 4.7]), ["2", "2.5", "3", "3.5", "4", "4.5", "5"]);
        assert_eq!(ticks(&[3.0]), ["3", "3.5"]);
        assert_eq!(ticks(&[]).first().map(String::as_str), Some("0"));
    }

    #[test]
    fn names_are_text_whatever_they_hold() {
        let line =
            Line { name: "</svg><script>".into(), points: vec![(0.0, f64::NAN), (1.0, 2.0)] };
        let plot = Plot { title: "a & b".into(), x: "x".into(), y: "y".into(), lines: vec![line] };
        let svg = plot.svg();
        assert!(!svg.contains("<script>") && svg.contains("a &amp; b"), "{svg}");
        assert_eq!(svg.matches("</svg>").count(), 1);
    }
}
