//! Where things are.

use std::env::{self, consts};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::build::Profile;
use crate::ebpf::{self, Recipe};

pub struct Workspace {
    pub root: PathBuf,
    linker: PathBuf,
    /// The target folder, whatever cargo was told about it.
    pub target: PathBuf,
    /// What setup gets, apart from what a distribution's packages give.
    pub tools: PathBuf,
    pub cargo: PathBuf,
}

impl Workspace {
    pub fn find() -> Result<Self> {
        // Why the variable first: the folder may have been moved since xtask was compiled.
        let manifest_dir = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest_dir.parent().context("xtask is not in a workspace")?.to_owned();
        // Why not cargo's metadata: we stand in the target folder ourselves, at debug/xtask.
        let xtask = env::current_exe().context("cannot tell where xtask itself is")?;
        let target = xtask
            .ancestors()
            .nth(2)
            .context("xtask is not in a target folder: run it as `cargo xtask`")?
            .to_owned();
        let tools = target.join("tools");
        Ok(Self {
            root,
            linker: ebpf::linker(&tools),
            tools,
            target,
            cargo: env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from),
        })
    }

    /// cargo, in the workspace.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(&self.root);
        command
    }

    pub fn binary(&self, profile: Profile) -> PathBuf {
        self.target.join(profile.folder()).join("netbreath")
    }

    /// The package of the tests that need root, and its folder, where they run.
    pub fn tests(&self) -> (&'static str, PathBuf) {
        ("netbreath-tests", self.root.join("tests"))
    }

    /// How the kernel programs for this machine are built.
    pub fn recipe<'a>(&'a self, rust_src: Option<&'a Path>) -> Recipe<'a> {
        Recipe {
            cargo: &self.cargo,
            workspace: &self.root,
            target_dir: &self.target,
            linker: &self.linker,
            rust_src,
            arch: consts::ARCH,
            endian: if cfg!(target_endian = "big") { "big" } else { "little" },
        }
    }
}
