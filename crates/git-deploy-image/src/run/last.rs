//! The last lines of what a program wrote.

use std::collections::VecDeque;

/// How many of them are told.
const TOLD: usize = 20;

/// How many of them, at most, are where a program of Go was that broke down.
const TRACE: usize = 100;

/// The last lines, as they are written.
#[derive(Debug, Default)]
pub(super) struct Last(VecDeque<String>);

impl Last {
    /// One more.
    pub(super) fn keep(&mut self, line: &str) {
        if self.0.len() == TOLD + TRACE {
            self.0.pop_front();
        }
        self.0.push_back(line.to_owned());
    }

    /// Those that are told, with `more` behind them.
    pub(super) fn told(self, more: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut lines: Vec<String> = self.0.into();
        lines.truncate(before_trace(&lines));
        lines.extend(more);
        lines.drain(..lines.len().saturating_sub(TOLD));
        lines
    }
}

/// How many lines stand before a [trace](https://pkg.go.dev/runtime) with which they end. It is for whoever writes the program,
/// and hides what that said before it broke down, which may be why.
fn before_trace(lines: &[String]) -> usize {
    let is_frame = |line: &str| {
        line.is_empty()
            || line.starts_with(['\t', ' '])
            || line.starts_with("created by ")
            || line.ends_with(')')
    };
    let is_goroutine = |line: &str| line.starts_with("goroutine ") && line.ends_with("]:");
    let others = lines.iter().rposition(|line| !is_frame(line) && !is_goroutine(line));
    let from = others.map_or(0, |last| last + 1);
    let Some(trace) = lines[from..].iter().position(|line| is_goroutine(line)) else { return lines.len() };
    let before = &lines[..from + trace];
    before.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str]) -> Vec<String> {
        let mut last = Last::default();
        lines.iter().for_each(|line| last.keep(line));
        last.told([])
    }

    #[test]
    fn where_a_program_of_go_broke_down_hides_nothing_of_what_it_said() {
        let said = [
            "Applying (layer)",
            "ApplyLayer stdout:  stderr: write /bin/sh: no space left on device exit status 1",
            "panic: runtime error: invalid memory address or nil pointer dereference",
            "[signal SIGSEGV: segmentation violation code=0x1 addr=0x18 pc=0x672ffd]",
        ];
        let mut lines = said.to_vec();
        lines.extend(["", "goroutine 64 [running]:"]);
        for _ in 0..20 {
            lines.extend([
                "bufio.(*Reader).Read(0xc0002cae40, {0xc000430000, 0x8000})",
                "\tbufio/bufio.go:223 +0xfd",
            ]);
        }
        lines.extend([
            "created by example.org/tar/asm.NewInputTarStream",
            "\ttar/asm/disassemble.go:45 +0x2ab",
        ]);
        assert_eq!(told(&lines), said);
        // Where something is said after it, as by a builder of one of its steps, that was not all.
        lines.push("Error: building at step \"RUN make\": exit status 2");
        assert_eq!(told(&lines).len(), TOLD);
        assert_eq!(told(&lines).last().map(String::as_str), lines.last().copied());
    }

    #[test]
    fn what_is_no_trace_is_told_to_its_end() {
        for lines in [&["goroutine 1 [running]:", "was said"][..], &["main.main()", "\tindented", ""], &[]] {
            assert_eq!(told(lines), lines);
        }
        let many: Vec<String> = (0..500).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(told(&many), many[many.len() - TOLD..]);
    }
}
