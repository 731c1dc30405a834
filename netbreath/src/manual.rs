//! Man pages and completions, from the same declarations as the help.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot write the page {path:?}: {source}")]
    Write { path: PathBuf, source: io::Error },
}

/// The program as clap knows it, with everything that it derives by itself.
fn program() -> Command {
    let mut program = Cli::command();
    program.build();
    program
}

/// The pages of section 1: of the program and of each of its commands, by file name.
pub fn pages() -> Vec<(String, Vec<u8>)> {
    let program = program();
    let mut pages = vec![page(&program, "netbreath".to_owned())];
    for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
        if command.get_name() == "help" {
            continue;
        }
        let name = format!("netbreath-{}", command.get_name());
        pages.push(page(&command.clone().version(env!("CARGO_PKG_VERSION")), name));
    }
    pages
}

fn page(command: &Command, name: String) -> (String, Vec<u8>) {
    let man = clap_mangen::Man::new(command.clone().display_name(name.clone()))
        .title(name.to_uppercase())
        .section("1")
        .source(concat!("netbreath ", env!("CARGO_PKG_VERSION")))
        .manual("netbreath");
    let mut text = Vec::new();
    // Why ignored: writing to memory cannot fail.
    let _ = man.render(&mut text);
    (format!("{name}.1"), text)
}

/// Writes all pages to a folder.
pub fn write_pages(folder: &Path) -> Result<usize, Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    let pages = pages();
    for (name, text) in &pages {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(failed(&path))?;
    }
    Ok(pages.len())
}

/// What a shell needs to complete our commands and options.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut program = Cli::command();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut program, "netbreath", &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visible(program: &Command) -> Vec<String> {
        let commands = program.get_subcommands().filter(|command| !command.is_hide_set());
        commands.map(|command| command.get_name().to_owned()).filter(|n| n != "help").collect()
    }

    #[test]
    fn every_command_has_its_page_with_all_its_options() {
        let program = program();
        let pages = pages();
        assert_eq!(pages.len(), visible(&program).len() + 1);
        for name in visible(&program) {
            let file = format!("netbreath-{name}.1");
            let (_, text) = pages.iter().find(|(page, _)| *page == file).unwrap();
            let text = String::from_utf8(text.clone()).unwrap().replace('\\', "");
            assert!(text.contains(&format!("netbreath-{name}")), "{name}");
            let command = program.find_subcommand(&name).unwrap();
            for argument in command.get_arguments().filter(|one| !one.is_hide_set()) {
                if let Some(long) = argument.get_long() {
                    assert!(text.contains(&format!("--{long}")), "{name} --{long}");
                }
            }
            for argument in command.get_arguments().filter(|one| one.is_hide_set()) {
                if let Some(long) = argument.get_long().filter(|long| *long != "help") {
                    assert!(!text.contains(&format!("fB--{long}fR")), "{name} --{long}");
                }
            }
        }
    }

    #[test]
    fn every_shell_completes_every_command() {
        let program = program();
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = String::from_utf8(completions(shell)).unwrap();
            for name in visible(&program) {
                assert!(text.contains(&name), "{shell} {name}");
            }
            assert!(text.contains("max-close-wait"), "{shell}");
        }
    }
}
