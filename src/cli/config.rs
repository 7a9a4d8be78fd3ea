//! Settings: where the value of each option comes from.
//!
//! A value of a file becomes the default of its option, so clap checks it as it checks what is typed,
//! and the command line and the variables come before it without a word said here. Of two files the
//! nearer one counts: the project's, then the user's.
//!
//! Invariant: a project's file is read only where the user said so. It comes with somebody's
//! repository, and could choose a model, a program to run and a place to write.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::builder::PossibleValue;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use longsum::batch::output::to_stdout;
use serde::Serialize;
use toml::de::{DeTable, DeValue};

use super::args::{self, ConfigCommand, EvalFormat};
use super::exit::Exit;
use super::{near, plain};

/// Name of a project's file.
const PROJECT: &str = "longsum.toml";
/// The key of the user's file that lists folders whose projects are trusted, and the variable that
/// says it of whatever is here.
const ALLOW: &str = "allow_project";
const ALLOW_HERE: &str = "LONGSUM_PROJECT";
/// Options whose values are paths: one that begins with `./` or `../` is from the folder of its file.
const PATHS: [&str; 4] = ["output", "model", "prompts", "ocr"];
/// What is never shown.
const SECRET: &str = "password";

/// What is wrong with a file of settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is there and cannot be read.
    #[error("cannot read the settings `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Something in it cannot be used.
    #[error("`{}`, line {line}: {what}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        what: String,
        /// The way out, where there is one.
        hint: Option<String>,
    },
}

impl ConfigError {
    /// The way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => None,
            Self::Line { hint, .. } => hint.clone(),
        }
    }
}

/// A value of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    values: Vec<String>,
    /// The file and the line.
    origin: String,
}

/// All that files say.
#[derive(Debug, Default)]
pub struct Settings {
    /// By the names of options.
    by_key: BTreeMap<String, Setting>,
    /// Files that count, the nearest first.
    pub files: Vec<PathBuf>,
    /// A project's file that was not read, because nobody allowed it.
    pub passed_over: Option<PathBuf>,
}

impl Settings {
    /// What files say here of the options of this command.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file, the line and the key.
    pub fn read(command: &Command) -> Result<Self, ConfigError> {
        let mut settings = Self::default();
        let mut allowed = Vec::new();
        if let Some(path) = user_file().filter(|path| path.exists()) {
            allowed = settings.add(&path, command)?;
        }
        if let Some(path) = env::current_dir().ok().and_then(|dir| project_file(&dir)) {
            let is_said = env::var_os(ALLOW_HERE).is_some_and(|value| value == "1");
            if is_said || is_below(&path, &allowed) {
                settings.add(&path, command)?;
            } else {
                settings.passed_over = Some(path);
            }
        }
        Ok(settings)
    }

    /// Takes in a file, before those that were read earlier; returns the folders that it trusts.
    fn add(&mut self, path: &Path, command: &Command) -> Result<Vec<PathBuf>, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let is_users = self.files.is_empty() && Some(path) == user_file().as_deref();
        let file = File { path, text: &text };
        let table = DeTable::parse(&text)
            .map_err(|e| file.wrong(e.span().unwrap_or_default().start, e.message(), None))?;
        let mut trusted = Vec::new();
        for (key, value) in table.get_ref() {
            let (at, name) = (key.span().start, key.get_ref().as_ref());
            let read = || file.values(name, value.get_ref(), value.span().start);
            if name == ALLOW && is_users {
                trusted.extend(read()?.into_iter().map(PathBuf::from));
                continue;
            }
            let Some(arg) = args::options(command).find(|arg| arg.get_id() == name) else {
                return Err(file.unknown(at, name, command));
            };
            let values = read()?.into_iter();
            let values: Vec<String> = values.map(|v| file.placed(name, v)).collect();
            file.check(at, arg, &values)?;
            let origin = format!("{}, line {}", path.display(), file.line(at));
            self.by_key.insert(name.to_owned(), Setting { values, origin });
        }
        self.files.insert(0, path.to_owned());
        Ok(trusted)
    }

    /// The command with the values of files as defaults.
    pub fn apply(&self, command: Command) -> Command {
        self.by_key.iter().fold(command, |command, (key, setting)| {
            // As long as the program.
            let values: Vec<&'static str> =
                setting.values.iter().map(|value| &*value.clone().leak()).collect();
            // Help says what an option is by default, but no secret, and nothing that steers a terminal.
            let is_hidden = key == SECRET || setting.values.iter().any(|v| plain(v) != *v);
            args::change(command, key, &|arg| {
                arg.default_values(values.clone()).hide_default_value(is_hidden)
            })
        })
    }

    /// What to say of a project's file that was not read.
    pub fn warning(&self) -> Option<String> {
        let path = self.passed_over.as_ref()?;
        let dir = path.parent().unwrap_or(path).display();
        Some(format!(
            "warning: `{}` is not read: it could choose a model, a program to run or a place to write\n hint: if you trust it, set {ALLOW_HERE}=1, or write {ALLOW} = [\"{dir}\"] into {}",
            path.display(),
            user_file().map_or("your own file".to_owned(), |path| format!("`{}`", path.display()))
        ))
    }

    /// Every setting of the main job, in the order of its help.
    pub fn rows(&self, command: &Command, matches: &ArgMatches) -> Vec<Row> {
        let row = |arg: &Arg| {
            let id = arg.get_id().as_str();
            let values = matches.get_raw(id).into_iter().flatten();
            let value: Vec<String> = values.map(|v| v.to_string_lossy().into_owned()).collect();
            let value = Some(value.join(" ")).filter(|value| !value.is_empty());
            let (source, origin) = match (matches.value_source(id), self.by_key.get(id)) {
                (Some(ValueSource::CommandLine), _) => ("flag", format!("--{}", long(arg))),
                (Some(ValueSource::EnvVariable), _) => ("variable", args::variable(id)),
                (Some(_), Some(setting)) => ("file", setting.origin.clone()),
                _ => ("default", "default".to_owned()),
            };
            let value = if id == SECRET { value.map(|_| "(not shown)".to_owned()) } else { value };
            Row { name: id.to_owned(), value, source, origin }
        };
        args::options(command).map(row).collect()
    }
}

/// One setting, for people.
#[derive(Debug, Serialize)]
pub struct Row {
    pub name: String,
    /// None where longsum decides by the document and the model.
    pub value: Option<String>,
    /// `flag`, `variable`, `file` or `default`.
    pub source: &'static str,
    /// Which flag, variable or line of which file.
    pub origin: String,
}

impl Row {
    /// A setting that somebody made, in words.
    pub fn told(&self) -> Option<String> {
        let value = self.value.as_ref().filter(|_| self.source != "default")?;
        Some(format!("{} = {value} ({})", self.name, self.origin))
    }
}

/// A file while it is read.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn line(&self, at: usize) -> usize {
        self.text.as_bytes().iter().take(at).filter(|&&byte| byte == b'\n').count() + 1
    }

    fn wrong(&self, at: usize, what: &str, hint: Option<String>) -> ConfigError {
        let (path, line) = (self.path.to_owned(), self.line(at));
        ConfigError::Line { path, line, what: what.to_owned(), hint }
    }

    fn unknown(&self, at: usize, name: &str, command: &Command) -> ConfigError {
        if name == ALLOW {
            let hint = user_file().map(|path| format!("write it into `{}`", path.display()));
            return self.wrong(at, "a project cannot allow itself", hint);
        }
        let keys: Vec<&str> = args::options(command).map(|arg| arg.get_id().as_str()).collect();
        let hint = match near::of(name, keys.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", keys.join(", ")),
        };
        self.wrong(at, &format!("there is no setting `{name}`"), Some(hint))
    }

    /// A value as it would be typed; several of an array.
    fn values(
        &self,
        key: &str,
        value: &DeValue<'_>,
        at: usize,
    ) -> Result<Vec<String>, ConfigError> {
        match value {
            DeValue::String(text) => Ok(vec![text.to_string()]),
            DeValue::Integer(number) => Ok(vec![number.to_string()]),
            DeValue::Float(number) => Ok(vec![number.to_string()]),
            DeValue::Array(values) if key == "glob" || key == ALLOW => {
                let one = |value: &toml::Spanned<DeValue<'_>>| match value.get_ref() {
                    DeValue::String(text) => Ok(text.to_string()),
                    _ => Err(self.wrong(
                        value.span().start,
                        &format!("`{key}` takes a list of strings"),
                        None,
                    )),
                };
                values.iter().map(one).collect()
            }
            other => {
                let what = format!("`{key}` cannot be a {}", other.type_str());
                Err(self.wrong(at, &what, Some("write a string or a number".to_owned())))
            }
        }
    }

    fn placed(&self, key: &str, value: String) -> String {
        let is_here = value.starts_with("./") || value.starts_with("../");
        match self.path.parent() {
            Some(dir) if is_here && PATHS.contains(&key) => {
                dir.join(value.trim_start_matches("./")).display().to_string()
            }
            _ => value,
        }
    }

    /// Lets clap look at the values, as if they had been typed.
    fn check(&self, at: usize, arg: &Arg, values: &[String]) -> Result<(), ConfigError> {
        let typed = values.iter().map(|value| format!("--{}={value}", long(arg)));
        let alone = Command::new("longsum").arg(arg.clone().env(None::<&str>));
        let Err(error) = alone.try_get_matches_from(std::iter::once("longsum".into()).chain(typed))
        else {
            return Ok(());
        };
        let why = std::error::Error::source(&error).map(ToString::to_string);
        let possible = arg.get_possible_values();
        let names: Vec<&str> = possible.iter().map(PossibleValue::get_name).collect();
        let hint = (!names.is_empty()).then(|| format!("there are {}", names.join(", ")));
        let why = why.map_or(String::new(), |why| format!(": {why}"));
        let what = format!("`{}` cannot be `{}`{why}", arg.get_id(), values.join(" "));
        Err(self.wrong(at, &what, hint))
    }
}

fn long(arg: &Arg) -> &str {
    arg.get_long().unwrap_or_default()
}

/// The user's file, which need not be there.
fn user_file() -> Option<PathBuf> {
    let folder = |name: &str| env::var_os(name).filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let dir = folder("XDG_CONFIG_HOME")
        .or_else(|| folder("APPDATA"))
        .or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(dir.join("longsum/config.toml"))
}

/// The project's file: in this folder, or above it up to the root of the repository.
fn project_file(dir: &Path) -> Option<PathBuf> {
    let has_root = dir.ancestors().any(|dir| dir.join(".git").exists());
    for dir in dir.ancestors() {
        let file = dir.join(PROJECT);
        if file.is_file() {
            return Some(file);
        }
        if !has_root || dir.join(".git").exists() {
            return None;
        }
    }
    None
}

fn is_below(path: &Path, folders: &[PathBuf]) -> bool {
    // Links could lead from a folder that is trusted to one that is not.
    let Ok(path) = path.canonicalize() else { return false };
    folders.iter().filter_map(|dir| dir.canonicalize().ok()).any(|dir| path.starts_with(dir))
}

/// `longsum config show`.
pub fn run(command: &ConfigCommand) -> Result<Exit> {
    let ConfigCommand::Show { format, options } = command;
    let plain_command = args::command(true);
    let settings = Settings::read(&plain_command)?;
    let command = settings.apply(plain_command);
    let argv: Vec<OsString> =
        ["longsum".into()].into_iter().chain(options.clone()).chain(["-".into()]).collect();
    let matches = match command.clone().try_get_matches_from(argv) {
        Ok(matches) => matches,
        Err(error) => {
            let _ = error.print();
            return Ok(if error.use_stderr() { Exit::Usage } else { Exit::Done });
        }
    };
    let rows = settings.rows(&command, &matches);
    let text = match format {
        EvalFormat::Table => table(&settings, &rows),
        EvalFormat::Json => {
            let all = serde_json::json!({
                "files": settings.files, "not_read": settings.passed_over, "settings": rows,
            });
            serde_json::to_string_pretty(&all)? + "\n"
        }
    };
    to_stdout(text.as_bytes())?;
    Ok(Exit::Done)
}

fn table(settings: &Settings, rows: &[Row]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    for row in rows {
        let value = row.value.as_deref().unwrap_or("-");
        let _ = writeln!(text, "{:<13} {value:<16} {}", row.name, row.origin);
    }
    text.push('\n');
    for file in &settings.files {
        let _ = writeln!(text, "read: {}", file.display());
    }
    if settings.files.is_empty() {
        let user = user_file().map_or(String::new(), |path| format!("; {}", path.display()));
        let _ = writeln!(text, "no file is read{user} can hold settings of yours");
    }
    if let Some(warning) = settings.warning() {
        let _ = writeln!(text, "{warning}");
    }
    plain(&text)
}
