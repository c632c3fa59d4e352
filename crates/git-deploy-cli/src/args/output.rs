//! What a command that has something to read can print.

/// How a command that has something to read prints it.
#[derive(clap::Args, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Output {
    /// Print for programs, in the format described under OUTPUT, which never changes silently
    #[arg(long, conflicts_with = "json")]
    pub porcelain: bool,

    /// End each record of --porcelain with NUL and quote nothing
    #[arg(short = 'z', requires = "porcelain")]
    pub nul: bool,

    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

impl Output {
    /// The one format that is meant.
    pub fn format(self) -> Format {
        match (self.json, self.porcelain) {
            (true, _) => Format::Json,
            (false, true) => Format::Porcelain { nul: self.nul },
            (false, false) => Format::Human,
        }
    }

    /// The options of both, as in `git deploy-queue --porcelain list -z`.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            porcelain: self.porcelain || other.porcelain,
            nul: self.nul || other.nul,
            json: self.json || other.json,
        }
    }
}

/// A format of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: may change.
    Human,
    /// Records of fields.
    Porcelain {
        /// They end with NUL and are not quoted.
        nul: bool,
    },
    /// One object a line.
    Json,
}
