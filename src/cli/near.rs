//! What somebody may have meant.

use std::fs;
use std::path::Path;

use clap::Command;
use strsim::damerau_levenshtein;

use super::args;

/// The candidate that differs least from a name, if it differs little.
pub fn of<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A wrong, a missing, a superfluous letter or two that changed places; more in longer names.
    let most = (name.chars().count() / 4).max(1);
    let distance = |candidate: &&str| damerau_levenshtein(name, candidate);
    candidates.into_iter().filter(|c| *c != name && distance(c) <= most).min_by_key(distance)
}

/// What to do about a path where nothing is.
pub fn hint(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let command = args::command(true);
    let commands: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    if path.components().count() == 1 {
        if commands.contains(&name) {
            return Some(format!("`{name}` is a command, and commands come first: longsum {name}"));
        }
        if let Some(near) = of(name, commands) {
            return Some(format!("did you mean the command `longsum {near}`?"));
        }
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let entries = fs::read_dir(dir.unwrap_or(Path::new("."))).ok()?.take(10_000);
    let names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let near = Path::new(of(name, names.iter().map(String::as_str))?);
    let near = dir.map_or(near.to_owned(), |dir| dir.join(near));
    Some(format!("did you mean `{}`?", near.display()))
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_name_is_meant_if_it_differs_little() {
        let names = ["report.pdf", "reports", "extract"];
        assert_eq!(of("reprot.pdf", names), Some("report.pdf"));
        assert_eq!(of("extrat", names), Some("extract"));
        assert_eq!(of("map", ["man"]), Some("man"));
        assert_eq!(of("extract", names), None);
        assert_eq!(of("minutes.txt", names), None);
    }
}
