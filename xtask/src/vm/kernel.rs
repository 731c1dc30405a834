//! Kernels of Debian's, fetched once a day and kept in the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

use crate::setup::apt::Apt;

/// What is tested if nothing else is asked for.
pub const SERIES: &[&str] = &["6.1", "6.12", "7"];
/// The release of Debian that has a series from the start; all others are backports.
const SUITES: &[(&str, &str)] = &[("6.1", "bookworm"), ("6.12", "trixie")];
const BACKPORTS: &str = "trixie-backports";
/// Small, built for virtual machines, and with BTF.
const BEGINNING: &str = "linux-image-";
const AMD64: &str = "-cloud-amd64";
const ARM64: &str = "-cloud-arm64";
/// New point releases come every few weeks.
const FRESH: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone)]
pub struct Kernel {
    /// What was asked for: this is the newest of it.
    pub series: String,
    /// As `uname -r` says it.
    pub release: String,
    pub image: PathBuf,
    pub modules: PathBuf,
}

impl Kernel {
    pub fn is_arm64(&self) -> bool {
        self.release.ends_with(ARM64)
    }
}

/// Where kernels are kept, and how new ones are got.
pub struct Kernels {
    folder: PathBuf,
    /// What their names end with.
    end: &'static str,
    /// None where there is no apt.
    apt: Option<Apt>,
}

impl Kernels {
    pub fn new(folder: &Path) -> Self {
        Self { apt: Apt::here(folder), folder: folder.join("kernels"), end: AMD64 }
    }

    /// For aarch64.
    pub fn arm64(folder: &Path) -> Self {
        let apt = Apt::here(folder).map(|apt| apt.of_arch("arm64"));
        Self { apt, folder: folder.join("kernels-arm64"), end: ARM64 }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The newest kernel of a series: `7`, `6.12`, or a point release.
    pub fn newest(&self, series: &str) -> Result<Kernel> {
        let note = self.folder.join(format!("{series}.newest"));
        let kept = fs::read_to_string(&note)
            .ok()
            .and_then(|release| self.kept(series, release.trim()).ok());
        let is_fresh = fs::metadata(&note)
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|then| SystemTime::now().duration_since(then).is_ok_and(|age| age < FRESH));
        if let (Some(kernel), true) = (&kept, is_fresh) {
            return Ok(kernel.clone());
        }
        match (self.fetch(series), kept) {
            (Ok(kernel), old) => {
                fs::write(&note, &kernel.release)
                    .with_context(|| format!("cannot write {}", note.display()))?;
                if let Some(old) = old.filter(|old| old.release != kernel.release) {
                    // Why no error: it costs space only.
                    let _ = fs::remove_dir_all(self.root(&old.release));
                }
                Ok(kernel)
            }
            (Err(error), Some(kept)) => {
                eprintln!("vm: {} is used, which is kept here: {error:#}", kept.release);
                Ok(kept)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// The lists of packages are large, and are not needed until the next day.
    pub fn clean(&self) {
        if let Some(apt) = &self.apt {
            apt.clean();
        }
    }

    fn fetch(&self, series: &str) -> Result<Kernel> {
        let apt =
            self.apt.as_ref().context("kernels are Debian's packages, and there is no apt")?;
        let suite = SUITES
            .iter()
            .find(|(of_suite, _)| *of_suite == series)
            .map_or(BACKPORTS, |(_, suite)| *suite);
        eprintln!("vm: asking {suite} for the newest kernel {series}");
        apt.refresh(suite)?;
        let names = apt.names(suite, BEGINNING)?;
        let releases: Vec<&str> = names.iter().filter_map(|name| release(name, self.end)).collect();
        let Some(release) = newest(&releases, series) else {
            bail!("{suite} has no cloud kernel {series}, but {}", releases.join(", "));
        };
        if let Ok(kernel) = self.kept(series, release) {
            return Ok(kernel);
        }
        eprintln!("vm: fetching {release}");
        let image = format!("{BEGINNING}{release}");
        let parts = parts(&apt.describe(suite, &image)?, release);
        let half = self.folder.join("half");
        if half.exists() {
            fs::remove_dir_all(&half)
                .with_context(|| format!("cannot empty {}", half.display()))?;
        }
        fs::create_dir_all(&half).with_context(|| format!("cannot make {}", half.display()))?;
        for package in std::iter::once(image).chain(parts) {
            apt.unpack_into(&half, suite, &package)?;
        }
        let root = self.root(release);
        if root.exists() {
            fs::remove_dir_all(&root)
                .with_context(|| format!("cannot remove {}", root.display()))?;
        }
        fs::rename(&half, &root).with_context(|| format!("cannot make {}", root.display()))?;
        self.kept(series, release)
    }

    fn root(&self, release: &str) -> PathBuf {
        self.folder.join(release)
    }

    fn kept(&self, series: &str, release: &str) -> Result<Kernel> {
        let root = self.root(release);
        let modules = ["usr/lib/modules", "lib/modules"]
            .map(|folder| root.join(folder).join(release))
            .into_iter()
            .find(|folder| folder.join("kernel").is_dir())
            .with_context(|| format!("{} has no modules", root.display()))?;
        let image = [root.join("boot").join(format!("vmlinuz-{release}")), modules.join("vmlinuz")]
            .into_iter()
            .find(|image| image.is_file())
            .with_context(|| format!("{} has no kernel image", root.display()))?;
        let (series, release) = (series.to_owned(), release.to_owned());
        Ok(Kernel { series, release, image, modules: modules.join("kernel") })
    }
}

/// `linux-image-7.3.4+deb13-cloud-amd64` is one; meta packages, unsigned and debug
/// variants are not.
fn release<'a>(package: &'a str, end: &str) -> Option<&'a str> {
    let release = package.strip_prefix(BEGINNING)?;
    (release.ends_with(end) && release.starts_with(|first: char| first.is_ascii_digit()))
        .then_some(release)
}

/// The newest release that is of the series: 6.12 is not of 6.1.
fn newest<'a>(releases: &[&'a str], series: &str) -> Option<&'a str> {
    releases
        .iter()
        .filter(|release| {
            release.strip_prefix(series).is_some_and(|rest| rest.starts_with(['.', '-', '+']))
        })
        .max_by_key(|release| numbers(release))
        .copied()
}

/// 7.10 is newer than 7.9, and 6.1.0-50 than 6.1.0-9.
fn numbers(release: &str) -> Vec<u64> {
    release
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

/// Newer kernels come in several packages, all named after the release: the image's
/// own is then almost empty, and depends on the others.
fn parts(description: &str, release: &str) -> Vec<String> {
    let end = format!("-{release}");
    description
        .lines()
        .find_map(|line| line.strip_prefix("Depends:"))
        .unwrap_or_default()
        .split([',', '|'])
        .filter_map(|dependency| dependency.split_whitespace().next())
        .filter(|package| package.ends_with(&end))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cloud_kernels_are_taken() {
        assert_eq!(
            release("linux-image-6.1.0-50-cloud-amd64", AMD64),
            Some("6.1.0-50-cloud-amd64")
        );
        for other in [
            "linux-image-cloud-amd64",
            "linux-image-6.1.0-50-amd64",
            "linux-image-6.1.0-50-cloud-amd64-dbg",
            "linux-image-6.1.0-50-cloud-amd64-unsigned",
        ] {
            assert_eq!(release(other, AMD64), None, "{other}");
        }
    }

    #[test]
    fn the_newest_of_a_series_is_picked_by_number() {
        let releases = [
            "6.1.0-50-cloud-amd64",
            "6.1.0-9-cloud-amd64",
            "6.12.107+deb13-cloud-amd64",
            "6.12.94+deb13-cloud-amd64",
            "7.2.12+deb13-cloud-amd64",
            "7.10.1+deb13-cloud-amd64",
            "7.3.4+deb13-cloud-amd64",
        ];
        assert_eq!(newest(&releases, "6.1"), Some("6.1.0-50-cloud-amd64"));
        assert_eq!(newest(&releases, "6.12"), Some("6.12.107+deb13-cloud-amd64"));
        assert_eq!(newest(&releases, "7"), Some("7.10.1+deb13-cloud-amd64"));
        assert_eq!(newest(&releases, "7.3"), Some("7.3.4+deb13-cloud-amd64"));
        assert_eq!(newest(&releases, "7.2.12"), Some("7.2.12+deb13-cloud-amd64"));
        assert_eq!(newest(&releases, "5"), None);
    }

    #[test]
    fn the_parts_of_a_kernel_are_found() {
        let description = "Package: linux-image-7.3.4-cloud-amd64\n\
            Depends: dracut | initramfs-tools (>= 0.120), linux-base-7.3.4-cloud-amd64 (= 7.3.4-1), \
            linux-binary-7.3.4-cloud-amd64 (= 7.3.4-1)\n";
        assert_eq!(
            parts(description, "7.3.4-cloud-amd64"),
            ["linux-base-7.3.4-cloud-amd64", "linux-binary-7.3.4-cloud-amd64"]
        );
        assert!(parts("Depends: kmod, linux-base (>= 4.3~)\n", "6.1.0-50-cloud-amd64").is_empty());
    }
}
