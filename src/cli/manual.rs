//! `longsum man` and `longsum completions`: made of the same description as the help.

use anyhow::Result;
use clap_mangen::Man as Page;
use longsum::batch::output::to_stdout;

use super::args::{self, Completions, Man};
use super::exit::{Exit, Failure};

/// Prints the manual page of longsum or of one of its commands.
pub fn man(args: &Man) -> Result<Exit> {
    // Names become whole: `longsum extract`.
    let mut command = args::command(true);
    command.build();
    let command = match &args.of {
        None => command,
        Some(name) => {
            let of = command.find_subcommand(name).cloned();
            let of = of.ok_or_else(|| Failure::NoSuchCommand { name: name.clone() })?;
            let whole: &'static str = format!("longsum-{name}").leak(); // as long as the program
            of.name(whole)
        }
    };
    let mut page = Vec::new();
    Page::new(command).render(&mut page)?;
    to_stdout(&page)?;
    Ok(Exit::Done)
}

/// Prints what a shell needs to complete options.
pub fn completions(args: &Completions) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(true), "longsum", &mut script);
    to_stdout(&script)?;
    Ok(Exit::Done)
}
