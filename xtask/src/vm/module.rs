//! The modules that scenarios need, with those that they need themselves.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// What scenarios lean on where the kernel has it as a module. One that is not there is
/// built in, or its scenario will say what it misses.
const WANTED: &[&str] = &[
    "8021q",
    "bonding",
    "bridge",
    "cls_bpf",
    "dummy",
    "nf_tables",
    "sch_ingress",
    "sch_netem",
    "sctp",
    "tcp_diag",
    "tun",
    "udp_diag",
    "unix_diag",
    "veth",
    "wireguard",
];

pub struct Module {
    pub name: String,
    pub content: Vec<u8>,
}

/// In an order in which they can be loaded.
pub fn wanted(folder: &Path) -> Result<Vec<Module>> {
    let mut files = HashMap::new();
    find(folder, &mut files)?;
    let mut modules = Vec::new();
    for name in WANTED {
        if files.contains_key(*name) {
            add(name, &files, &mut modules)?;
        }
    }
    Ok(modules)
}

/// After those that it needs. The kernel's build refuses circles.
fn add(name: &str, files: &HashMap<String, PathBuf>, modules: &mut Vec<Module>) -> Result<()> {
    if modules.iter().any(|module| module.name == name) {
        return Ok(());
    }
    let Some(file) = files.get(name) else {
        bail!("the module {name}, which another one needs, is not in the package");
    };
    let content = content(file)?;
    for needed in needs(&content) {
        add(&needed, files, modules)?;
    }
    modules.push(Module { name: name.to_owned(), content });
    Ok(())
}

fn find(folder: &Path, files: &mut HashMap<String, PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            find(&path, files)?;
        } else if let Some(name) = path.file_name().and_then(|name| module_name(name.to_str()?)) {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// A module's own name has no hyphens, though its file's may.
fn module_name(file: &str) -> Option<String> {
    let (name, compression) = file.split_once(".ko")?;
    matches!(compression, "" | ".xz").then(|| name.replace('-', "_"))
}

fn content(file: &Path) -> Result<Vec<u8>> {
    if file.extension().is_none_or(|extension| extension != "xz") {
        return fs::read(file).with_context(|| format!("cannot read {}", file.display()));
    }
    let output = Command::new("xz").arg("-dc").arg(file).output().context("cannot run xz")?;
    if !output.status.success() {
        bail!(
            "cannot unpack {}: {}",
            file.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(output.stdout)
}

/// Out of its `.modinfo`, which is text: `depends=one,two`, between NULs.
fn needs(content: &[u8]) -> Vec<String> {
    content
        .split(|byte| *byte == 0)
        .find_map(|text| text.strip_prefix(b"depends="))
        .map(|list| String::from_utf8_lossy(list).into_owned())
        .unwrap_or_default()
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_read() {
        assert_eq!(
            needs(b"\x7fELF\0license=GPL\0depends=libcrc32c,nf-nat\0x"),
            ["libcrc32c", "nf_nat"]
        );
        assert!(needs(b"\0depends=\0").is_empty());
        assert!(needs(b"").is_empty());
    }

    #[test]
    fn files_are_modules_by_their_names() {
        assert_eq!(module_name("sch_ingress.ko.xz").as_deref(), Some("sch_ingress"));
        assert_eq!(module_name("nf-nat.ko").as_deref(), Some("nf_nat"));
        assert_eq!(module_name("modules.order"), None);
        assert_eq!(module_name("x.ko.unknown"), None);
    }
}
