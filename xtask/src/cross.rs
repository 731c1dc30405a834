//! Building for another architecture than this machine's.

use std::env::consts;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::build::Profile;
use crate::ebpf;
use crate::process;
use crate::setup;
use crate::workspace::Workspace;

pub const ARM64: Target =
    Target { triple: "aarch64-unknown-linux-gnu", arch: "aarch64", tools: "aarch64-linux-gnu-" };

/// What can be built for, and the beginning of the names of its C tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub triple: &'static str,
    arch: &'static str,
    tools: &'static str,
}

impl Target {
    /// None: what is asked for is this machine itself.
    pub fn named(triple: &str) -> Result<Option<Target>> {
        if triple.strip_suffix("-unknown-linux-gnu") == Some(consts::ARCH) {
            return Ok(None);
        }
        if triple != ARM64.triple {
            bail!("it is known how to build for {}, not for {triple}", ARM64.triple);
        }
        Ok(Some(ARM64))
    }

    /// A C tool for it: `gcc`, `objdump`.
    pub fn tool(self, name: &str) -> String {
        if self.arch == consts::ARCH { name.to_owned() } else { format!("{}{name}", self.tools) }
    }

    /// cargo with this subcommand, for this target.
    pub fn cargo(self, workspace: &Workspace, subcommand: &str) -> Result<Command> {
        let mut cargo = workspace.cargo();
        cargo.args([subcommand, "--target", self.triple]);
        let variable = self.triple.to_uppercase().replace('-', "_");
        cargo.env(format!("CARGO_TARGET_{variable}_LINKER"), self.tool("gcc"));
        if !self.has_std()? {
            // Why: rustup is not everywhere, and the standard library's sources are here, since
            // the kernel programs need them; to build it is unstable.
            cargo.env("RUSTC_BOOTSTRAP", "1");
            cargo.args(["-Z", "build-std=std,panic_abort,proc_macro,test"]);
            if let Some(rust_src) = setup::rust_src::kept(workspace)? {
                cargo.env("__CARGO_TESTS_ONLY_SRC_ROOT", rust_src.join("library"));
            }
        }
        Ok(cargo)
    }

    /// Whether the toolchain has the standard library for it.
    fn has_std(self) -> Result<bool> {
        let asked = ["--print", "target-libdir", "--target", self.triple];
        let folder = ebpf::ask_rustc("rustc".as_ref(), &asked).map_err(anyhow::Error::msg)?;
        Ok(PathBuf::from(folder).is_dir())
    }

    pub fn binary(self, workspace: &Workspace, profile: Profile, name: &str) -> PathBuf {
        workspace.target.join(self.triple).join(profile.folder()).join(name)
    }

    /// The libraries of a program: where it looks for each, and where it is here.
    pub fn libraries(self, program: &std::path::Path) -> Result<Vec<(String, PathBuf)>> {
        let mut found: Vec<(String, PathBuf)> = Vec::new();
        let mut open = vec![program.to_owned()];
        while let Some(file) = open.pop() {
            let said = process::answer(Command::new(self.tool("objdump")).arg("-p").arg(&file))?;
            for name in needed(&said) {
                if found.iter().any(|(place, _)| place.ends_with(name)) {
                    continue;
                }
                let asked = format!("-print-file-name={name}");
                let path = process::answer(Command::new(self.tool("gcc")).arg(asked))?;
                let path = PathBuf::from(path.trim());
                let path = path.canonicalize().with_context(|| {
                    format!("{} needs {name}, which is not here", program.display())
                })?;
                open.push(path.clone());
                found.push((format!("/lib/{name}"), path));
            }
        }
        Ok(found)
    }
}

/// Out of what `objdump -p` says.
fn needed(said: &str) -> impl Iterator<Item = &str> {
    said.lines().filter_map(|line| line.trim().strip_prefix("NEEDED")).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_known_by_name() -> Result<()> {
        let own = format!("{}-unknown-linux-gnu", consts::ARCH);
        assert_eq!(Target::named(&own)?, None);
        assert!(Target::named("sparc64-unknown-linux-gnu").is_err());
        Ok(())
    }

    #[test]
    fn libraries_are_found_in_what_objdump_says() {
        let said = "Dynamic Section:\n  NEEDED               libgcc_s.so.1\n  NEEDED  libc.so.6\n";
        assert_eq!(needed(said).collect::<Vec<_>>(), ["libgcc_s.so.1", "libc.so.6"]);
    }
}
