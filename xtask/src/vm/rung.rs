//! The table of rungs: hook, rung, and what became of it on each kernel. The suite `rung`
//! prints the cells; the table is checked in, and must be what was seen.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Where the table is checked in.
pub const PLACE: &str = "docs/rungs.md";

/// Whether the table is there to compare with.
pub fn is_checked_in(root: &Path) -> bool {
    root.join(PLACE).is_file()
}

const HEAD: &str = "\
# Rungs

Every hook and the ways to attach it, best first, on each kernel of the test machines. Written by
`cargo xtask test vm --all`; `cargo xtask test vm` fails if it sees anything else.

- `taken`: what netbreath takes there by itself; tested.
- `works`: to be had there; tested by asking for it (`--rung HOOK=RUNG`).
- `refused`: not to be had there; that netbreath says so is tested.

";

/// A line that the suite prints: `RUNG TAB hook TAB rung TAB cell`.
const MARK: &str = "RUNG\t";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub hook: String,
    pub rung: String,
    pub word: String,
}

/// Out of what a suite printed.
pub fn cells(printed: &[String]) -> Vec<Cell> {
    let cell = |line: &String| {
        let mut parts = line.strip_prefix(MARK)?.split('\t').map(str::to_owned);
        Some(Cell { hook: parts.next()?, rung: parts.next()?, word: parts.next()? })
    };
    printed.iter().filter_map(cell).collect()
}

/// Out of what `doctor --rungs` printed: what can be had, untested. In the words of the suite,
/// since what can be had must be what was tested.
pub fn listed(printed: &[String]) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    for line in printed {
        let mut parts = line.split("  ").map(str::trim).filter(|part| !part.is_empty());
        let (Some(hook), Some(rung), Some(answer)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let is_first =
            |cells: &[Cell]| !cells.iter().any(|cell| cell.hook == hook && cell.word != REFUSED);
        let word = match answer {
            "here" if is_first(&cells) => TAKEN,
            "here" => WORKS,
            _ if answer.starts_with("refused: ") => REFUSED,
            _ => continue,
        };
        let (hook, rung, word) = (hook.to_owned(), rung.to_owned(), word.to_owned());
        cells.push(Cell { hook, rung, word });
    }
    cells
}

const TAKEN: &str = "taken";
const WORKS: &str = "works";
const REFUSED: &str = "refused";

/// What is in each column: a series of kernels, and the cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub columns: Vec<(String, Vec<Cell>)>,
}

impl Table {
    /// The one that is checked in; empty if there is none.
    fn read(text: &str) -> Table {
        let rows = text.lines().filter_map(|line| {
            let line = line.strip_prefix('|')?.strip_suffix('|')?;
            Some(line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect())
        });
        let mut rows: std::collections::VecDeque<Vec<String>> = rows.collect();
        let Some(head) = rows.pop_front() else { return Table::default() };
        // The line below the head.
        rows.pop_front();
        let columns = head.iter().enumerate().skip(2).map(|(place, series)| {
            let cells = rows.iter().filter_map(|row| {
                let word = row.get(place).filter(|word| !word.is_empty())?.clone();
                Some(Cell { hook: row.first()?.clone(), rung: row.get(1)?.clone(), word })
            });
            (series.clone(), cells.collect())
        });
        Table { columns: columns.collect() }
    }

    fn write(&self) -> String {
        let mut rows: Vec<(&str, &str)> = Vec::new();
        // In the order of the newest kernel first, since it was asked last.
        for cell in self.columns.iter().rev().flat_map(|(_, cells)| cells) {
            if !rows.contains(&(&cell.hook, &cell.rung)) {
                rows.push((&cell.hook, &cell.rung));
            }
        }
        let mut text = format!("{HEAD}| hook | rung |");
        for (series, _) in &self.columns {
            text.push_str(&format!(" {series} |"));
        }
        text.push_str("\n|---|---|");
        text.push_str(&"---|".repeat(self.columns.len()));
        text.push('\n');
        for (hook, rung) in rows {
            text.push_str(&format!("| {hook} | `{rung}` |"));
            for (_, cells) in &self.columns {
                let cell = cells.iter().find(|cell| cell.hook == hook && cell.rung == rung);
                text.push_str(&format!(" {} |", cell.map_or("", |cell| &cell.word)));
            }
            text.push('\n');
        }
        text
    }

    /// Rungs that no kernel has.
    fn untested(&self) -> Vec<String> {
        let name = |cell: &Cell| format!("{} = {}", cell.hook, cell.rung);
        let all = || self.columns.iter().flat_map(|(_, cells)| cells);
        let tested: BTreeSet<String> =
            all().filter(|cell| [TAKEN, WORKS].contains(&&*cell.word)).map(name).collect();
        let all: BTreeSet<String> = all().map(name).collect();
        all.difference(&tested).cloned().collect()
    }
}

/// Holds what was seen against the table that is checked in, and leaves it in `folder`.
/// A kernel that could not be had keeps its column: `columns` names all of them, in order.
pub fn check(
    root: &Path,
    folder: &Path,
    columns: &[&str],
    mut seen: Vec<(String, Vec<Cell>)>,
) -> Result<()> {
    let place = root.join(PLACE);
    // Why no error: without the file, nothing agrees with what was seen.
    let old = fs::read_to_string(&place).unwrap_or_default();
    let mut table = Table::default();
    for series in columns {
        if let Some(at) = seen.iter().position(|(other, _)| other == series) {
            table.columns.push(seen.swap_remove(at));
        } else if let Some(kept) =
            Table::read(&old).columns.into_iter().find(|(other, _)| other == series)
        {
            eprintln!("vm: THE COLUMN {series} OF {PLACE} IS NOT CHECKED: that kernel did not run");
            table.columns.push(kept);
        }
    }
    let new = table.write();
    let left = folder.join("rungs.md");
    fs::write(&left, &new).with_context(|| format!("cannot write {}", left.display()))?;
    let untested = table.untested();
    if !untested.is_empty() {
        bail!("no kernel has these rungs, so nothing tests them: {}", untested.join(", "));
    }
    if new != old {
        bail!(
            "{PLACE} is not what was seen; if that is right: cp {} {}",
            left.display(),
            place.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(hook: &str, rung: &str, word: &str) -> Cell {
        Cell { hook: hook.to_owned(), rung: rung.to_owned(), word: word.to_owned() }
    }

    fn table() -> Table {
        let old =
            vec![cell("accept", "fexit f(2 x)", "refused"), cell("accept", "tp a:b, a:c", "taken")];
        let new = vec![
            cell("accept", "fexit f(2 x)", "taken"),
            cell("accept", "tp a:b, a:c", "works"),
            cell("drop", "raw_tp x", "refused"),
        ];
        Table { columns: vec![("6.1".to_owned(), old), ("7".to_owned(), new)] }
    }

    #[test]
    fn cells_are_found_among_what_is_printed() {
        let printed = ["test a ... ok", "RUNG\taccept\ttp a:b, a:c\ttaken", "RUNG\thalf"];
        let printed = printed.map(str::to_owned);
        assert_eq!(cells(&printed), [cell("accept", "tp a:b, a:c", "taken")]);
    }

    #[test]
    fn cells_are_made_of_a_listing() {
        let printed = [
            "accept      fexit f(2 x)   refused: f has 4 parameters here",
            "accept      tp a:b, a:c    here",
            "accept      kprobe f       here",
            "half_open   sock_ops on the root cgroup  here",
            "",
        ];
        let expected = [
            cell("accept", "fexit f(2 x)", "refused"),
            cell("accept", "tp a:b, a:c", "taken"),
            cell("accept", "kprobe f", "works"),
            cell("half_open", "sock_ops on the root cgroup", "taken"),
        ];
        assert_eq!(listed(&printed.map(str::to_owned)), expected);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = table().write();
        assert!(text.contains("| accept | `fexit f(2 x)` | refused | taken |\n"), "{text}");
        assert!(text.contains("| drop | `raw_tp x` |  | refused |\n"), "{text}");
        assert_eq!(Table::read(&text), table());
        assert_eq!(Table::read(""), Table::default());
    }

    #[test]
    fn a_rung_that_no_kernel_has_is_untested() {
        assert_eq!(table().untested(), ["drop = raw_tp x"]);
    }

    #[test]
    fn the_table_must_be_what_was_seen() -> Result<()> {
        let root = std::env::temp_dir().join(format!("xtask-rungs-{}", std::process::id()));
        fs::create_dir_all(root.join("docs"))?;
        let mut seen = table().columns;
        seen[1].1.pop();
        let check = |seen: &[(String, Vec<Cell>)]| {
            super::check(&root, &root, &["6.1", "7"], seen.to_vec()).map_err(|e| e.to_string())
        };
        let error = check(&seen).expect_err("no table is there yet");
        assert!(error.contains("is not what was seen; if that is right: cp "), "{error}");
        fs::copy(root.join("rungs.md"), root.join(PLACE))?;
        assert_eq!(check(&seen), Ok(()));
        // A kernel that did not run.
        assert_eq!(check(&seen[..1]), Ok(()));
        seen[0].1[1].word = "works".to_owned();
        assert!(check(&seen).is_err());
        fs::remove_dir_all(&root)?;
        Ok(())
    }
}
