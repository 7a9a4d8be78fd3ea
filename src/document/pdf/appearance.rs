//! What annotations show on a page: the values of form fields, stamps, free text.
//!
//! Such text is no part of a page's content. Each annotation has an appearance, a form of its own,
//! that a viewer draws over the page. Here they are drawn as a part of the page, so that whatever reads
//! the page's content reads them too, in their place.
//!
//! Source: ISO 32000-1, 12.5.5 (Algorithm 8.1).

use std::fmt::Write as _;

use pdfboss_core::{Dict, Document, Name, Object, Page, Stream};

/// Annotation flags that keep it off the screen: hidden, no view.
const UNSEEN: i64 = 1 << 1 | 1 << 5;
/// More annotations than this on a page are an attack, or marks without words.
const MAX_DRAWN: usize = 2000;

/// The page with the appearances of its annotations drawn in.
pub(super) fn draw_in(file: &Document, page: Page) -> Page {
    let mut content = String::new();
    let mut forms = dict(file, page.resources.get("XObject")).unwrap_or_default();
    for (at, annotation) in
        array(file, page.dict().get("Annots")).iter().take(MAX_DRAWN).enumerate()
    {
        let drawn = dict(file, Some(annotation)).and_then(|annotation| drawn(file, &annotation));
        if let Some((form, [sx, sy, x, y])) = drawn {
            let name = format!("AnnotationAppearance{at}");
            // Writing to a string cannot fail.
            let _ = writeln!(content, "q {sx:.5} 0 0 {sy:.5} {x:.3} {y:.3} cm /{name} Do Q");
            forms.insert(Name(name), form);
        }
    }
    if content.is_empty() {
        return page;
    }
    // They come first: the page's own content may leave its graphics state in disorder.
    let mut parts = vec![Object::Stream(Stream { dict: Dict::new(), data: content.into_bytes() })];
    match page.dict().get("Contents").and_then(|contents| file.resolve(contents).ok()) {
        Some(Object::Array(own)) => parts.extend(own),
        Some(_) => parts.extend(page.dict().get("Contents").cloned()),
        None => {}
    }
    let mut own = page.dict().clone();
    own.insert(Name("Contents".into()), Object::Array(parts));
    let mut resources = page.resources.clone();
    resources.insert(Name("XObject".into()), Object::Dict(forms));
    Page::from_parts(
        page.index,
        page.media_box,
        page.crop_box,
        page.rotate,
        resources,
        own,
        page.object_ref(),
    )
}

/// The appearance of an annotation: its form, and how that is scaled and moved into its place.
fn drawn(file: &Document, annotation: &Dict) -> Option<(Object, [f64; 4])> {
    let is_unseen = annotation.get_int("F").unwrap_or(0) & UNSEEN != 0;
    if is_unseen || annotation.get_name("Subtype").is_some_and(|name| name.0 == "Popup") {
        return None;
    }
    let normal = dict(file, annotation.get("AP"))?.get("N")?.clone();
    let form = match file.resolve(&normal).ok()? {
        Object::Stream(_) => normal,
        // One appearance for each state, such as on and off.
        Object::Dict(states) => states.get(annotation.get_name("AS")?.0.as_str())?.clone(),
        _ => return None,
    };
    let resolved = file.resolve(&form).ok()?;
    let of_form = &resolved.as_stream()?.dict;
    let place = edges(&numbers(file, annotation.get("Rect"))?)?;
    let bounds = numbers(file, of_form.get("BBox"))?;
    let bounds = match numbers(file, of_form.get("Matrix")) {
        Some(m) if m.len() == 6 => {
            let corner = |x: f64, y: f64| [m[0] * x + m[2] * y + m[4], m[1] * x + m[3] * y + m[5]];
            let [x0, y0, x1, y1] = edges(&bounds)?;
            let corners = [corner(x0, y0), corner(x0, y1), corner(x1, y0), corner(x1, y1)];
            let least =
                |axis: usize| corners.iter().map(|at| at[axis]).fold(f64::INFINITY, f64::min);
            let most =
                |axis: usize| corners.iter().map(|at| at[axis]).fold(f64::NEG_INFINITY, f64::max);
            [least(0), least(1), most(0), most(1)]
        }
        _ => edges(&bounds)?,
    };
    let (width, height) = (bounds[2] - bounds[0], bounds[3] - bounds[1]);
    if width <= 0.0 || height <= 0.0 {
        return None;
    }
    let (sx, sy) = ((place[2] - place[0]) / width, (place[3] - place[1]) / height);
    Some((form, [sx, sy, place[0] - bounds[0] * sx, place[1] - bounds[1] * sy]))
}

/// Left, lower, right and upper edge.
fn edges(numbers: &[f64]) -> Option<[f64; 4]> {
    let [x0, y0, x1, y1] = *numbers.first_chunk::<4>()?;
    numbers
        .iter()
        .all(|number| number.is_finite())
        .then(|| [x0.min(x1), y0.min(y1), x0.max(x1), y0.max(y1)])
}

fn dict(file: &Document, object: Option<&Object>) -> Option<Dict> {
    file.resolve(object?).ok()?.as_dict().cloned()
}

fn array(file: &Document, object: Option<&Object>) -> Vec<Object> {
    match object.and_then(|object| file.resolve(object).ok()) {
        Some(Object::Array(items)) => items,
        _ => Vec::new(),
    }
}

fn numbers(file: &Document, object: Option<&Object>) -> Option<Vec<f64>> {
    let items = array(file, object);
    let numbers: Vec<f64> =
        items.iter().filter_map(|item| super::glyph::number(&file.resolve(item).ok()?)).collect();
    (!numbers.is_empty() && numbers.len() == items.len()).then_some(numbers)
}
