//! What packages are made of: hidden, since nobody needs it twice.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// Print completions for a shell: `netbreath completions bash > /etc/bash_completion.d/netbreath`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Write the man pages to a folder
#[derive(Debug, Args)]
pub struct ManArgs {
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}
