//! An archive as the kernel unpacks it at boot: cpio in its `newc` form.

use std::collections::BTreeSet;
use std::path::Path;

#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    folders: BTreeSet<String>,
}

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_666;

impl Archive {
    /// `path` is absolute; the folders above it come with it.
    pub fn file(&mut self, path: &str, content: &[u8]) {
        self.folders_above(path);
        self.entry(path, FILE, (0, 0), content);
    }

    pub fn program(&mut self, path: &str, content: &[u8]) {
        self.folders_above(path);
        self.entry(path, PROGRAM, (0, 0), content);
    }

    pub fn device(&mut self, path: &str, number: (u32, u32)) {
        self.folders_above(path);
        self.entry(path, CHARACTER_DEVICE, number, &[]);
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn folders_above(&mut self, path: &str) {
        let above: Vec<&Path> = Path::new(path).ancestors().skip(1).collect();
        for folder in above.into_iter().rev() {
            let folder = folder.to_string_lossy();
            if folder != "/" && !folder.is_empty() && self.folders.insert(folder.to_string()) {
                self.entry(&folder, FOLDER, (0, 0), &[]);
            }
        }
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        let name = path.trim_start_matches('/');
        self.entries += 1;
        // Why it fits: an archive of 4 GiB would not fit the VM either.
        let size = content.len() as u32;
        let fields = [
            self.entries, // inode: different, or they would be links to each other
            mode,
            0, // user
            0, // group
            1, // links
            0, // time of the last change
            size,
            0, // device that it is on
            0,
            device.0,
            device.1,
            name.len() as u32 + 1,
            0, // no check sum in this form
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        let padded = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(padded, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, mode, content, as a reader of the format sees them.
    fn entries(bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            assert_eq!(&bytes[at..at + 6], b"070701");
            let field = |i: usize| {
                let start = at + 6 + i * 8;
                let hex = std::str::from_utf8(&bytes[start..start + 8]).expect("text");
                u32::from_str_radix(hex, 16).expect("a number")
            };
            let (mode, size, name_size) = (field(1), field(6) as usize, field(11) as usize);
            let name = at + 110;
            let content = (name + name_size).next_multiple_of(4);
            assert_eq!(bytes[name + name_size - 1], 0);
            entries.push((
                String::from_utf8(bytes[name..name + name_size - 1].to_vec()).expect("text"),
                mode,
                bytes[content..content + size].to_vec(),
            ));
            at = (content + size).next_multiple_of(4);
        }
        entries
    }

    #[test]
    fn what_is_put_in_is_in_it() {
        let mut archive = Archive::default();
        archive.program("/init", b"run");
        archive.file("/etc/deep/hosts", b"127.0.0.1 localhost\n");
        archive.file("/etc/deep/empty", b"");
        archive.device("/dev/null", (1, 3));
        let entries = entries(&archive.finish());
        let names: Vec<_> = entries.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "init",
                "etc",
                "etc/deep",
                "etc/deep/hosts",
                "etc/deep/empty",
                "dev",
                "dev/null",
                "TRAILER!!!"
            ]
        );
        assert_eq!(entries[0].1, PROGRAM);
        assert_eq!(entries[0].2, b"run");
        assert_eq!(entries[1].1, FOLDER);
        assert_eq!(entries[3].2, b"127.0.0.1 localhost\n");
        assert_eq!(entries[6].1, CHARACTER_DEVICE);
    }

    #[test]
    fn everything_is_padded_to_words() {
        let mut archive = Archive::default();
        archive.file("/a", b"12345");
        assert_eq!(archive.finish().len() % 4, 0);
    }
}
