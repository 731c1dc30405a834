//! What a VM finds: our init, netbreath, the test suites, the libraries of these, the
//! modules, and the list of what is to be run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::cpio::Archive;
use super::module;
use crate::cross::Target;
use crate::process;

/// A command for init.
pub struct Task {
    pub name: String,
    pub seconds: u64,
    /// Of its environment.
    pub variables: Vec<(&'static str, String)>,
    /// Program and arguments; no tabs and no line ends.
    pub words: Vec<String>,
}

/// Programs of the workspace and where a VM has them.
pub struct Program {
    pub built: PathBuf,
    pub place: String,
}

/// Users and names that programs may ask for.
const FILES: &[(&str, &str)] = &[
    ("/etc/passwd", "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("/etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\nservices: files\n"),
];
/// For tests that compare names of ports; not every machine has it.
const SERVICES: &str = "/etc/services";

/// `target`: another architecture than this machine's.
pub fn write(
    file: &Path,
    programs: &[Program],
    tasks: &[Task],
    modules: &Path,
    target: Option<Target>,
) -> Result<()> {
    let mut archive = Archive::default();
    // Why: PID 1 starts with these as its standard files, and Rust insists on having them.
    archive.device("/dev/console", (5, 1));
    archive.device("/dev/null", (1, 3));

    let mut libraries: BTreeSet<(String, PathBuf)> = BTreeSet::new();
    for program in programs {
        let strip = target.map_or_else(|| "strip".to_owned(), |target| target.tool("strip"));
        archive.program(&program.place, &stripped(&program.built, file, &strip)?);
        match target {
            Some(target) => libraries.extend(target.libraries(&program.built)?),
            None => libraries.extend(
                libraries_of(&program.built)?.into_iter().map(|path| (path.clone(), path.into())),
            ),
        }
    }
    for (place, library) in libraries {
        archive.program(&place, &content(&library)?);
    }

    let mut list = String::new();
    for module in module::wanted(modules)? {
        let path = format!("/vm/module/{}.ko", module.name);
        archive.file(&path, &module.content);
        list.push_str(&path);
        list.push('\n');
    }
    archive.file("/vm/modules", list.as_bytes());
    archive.file("/vm/commands", commands(tasks).as_bytes());

    for (path, text) in FILES {
        archive.file(path, text.as_bytes());
    }
    if let Ok(services) = fs::read(SERVICES) {
        archive.file(SERVICES, &services);
    }
    fs::write(file, archive.finish()).with_context(|| format!("cannot write {}", file.display()))
}

/// Without the descriptions for debuggers, which are most of it: emulated, unpacking them
/// takes longer than the boot.
fn stripped(program: &Path, archive: &Path, strip: &str) -> Result<Vec<u8>> {
    let out = archive.with_extension("stripped");
    let mut strip = Command::new(strip);
    strip.arg("--strip-debug").arg("-o").arg(&out).arg(program);
    let done = strip.status().is_ok_and(|status| status.success());
    // Why no error: whole, it does as well.
    let content = content(if done { &out } else { program });
    let _ = fs::remove_file(&out);
    content
}

fn content(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

fn commands(tasks: &[Task]) -> String {
    let mut text = String::new();
    for Task { name, seconds, variables, words } in tasks {
        text.push_str(&format!("{name}\t{seconds}\t"));
        for (name, value) in variables {
            text.push_str(&format!("{name}={value}\t"));
        }
        text.push_str(&words.join("\t"));
        text.push('\n');
    }
    text
}

fn libraries_of(program: &Path) -> Result<Vec<String>> {
    // Why ldd: the loader knows best what it will look for, and where.
    let answer = process::answer(Command::new("ldd").arg(program))?;
    let (found, missing) = libraries(&answer);
    if !missing.is_empty() {
        bail!("{} needs {}, which are not here", program.display(), missing.join(", "));
    }
    Ok(found)
}

/// Out of what `ldd` says: paths of the libraries, and names of those it does not find.
fn libraries(answer: &str) -> (Vec<String>, Vec<String>) {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for line in answer.lines().map(str::trim) {
        let (name, place) = line.split_once(" => ").unwrap_or((line, line));
        if place.starts_with("not found") {
            missing.push(name.to_owned());
        } else if let Some(path) = place.split(" (").next().filter(|path| path.starts_with('/')) {
            found.push(path.to_owned());
        }
    }
    (found, missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_in_what_ldd_says() {
        let answer = "\tlinux-vdso.so.1 (0x00007ffe)\n\
            \tlibgcc_s.so.1 => /lib/x86_64-linux-gnu/libgcc_s.so.1 (0x00007f01)\n\
            \tlibgone.so.1 => not found\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f02)\n";
        let (found, missing) = libraries(answer);
        assert_eq!(found, ["/lib/x86_64-linux-gnu/libgcc_s.so.1", "/lib64/ld-linux-x86-64.so.2"]);
        assert_eq!(missing, ["libgone.so.1"]);
        assert!(libraries("\tstatically linked\n").0.is_empty());
    }

    #[test]
    fn a_command_is_one_line() {
        let task = Task {
            name: "doctor".to_owned(),
            seconds: 60,
            variables: vec![("A", "1".to_owned())],
            words: vec!["/bin/netbreath".to_owned(), "doctor".to_owned()],
        };
        assert_eq!(commands(&[task]), "doctor\t60\tA=1\t/bin/netbreath\tdoctor\n");
    }
}
