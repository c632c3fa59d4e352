//! Rows whose columns line up.

use super::{Shell, Text};

/// Rows for people. The last column of a row is not padded, and empty cells at its end are left out.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<Text>>,
}

impl Table {
    /// A table without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Text>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Prints it on standard output.
    pub fn print(mut self, shell: &mut Shell) {
        let mut widths: Vec<usize> = Vec::new();
        for row in &mut self.rows {
            while row.last().is_some_and(|cell| cell.width() == 0) {
                row.pop();
            }
            for (column, cell) in row.iter().enumerate() {
                match widths.get_mut(column) {
                    Some(width) => *width = cell.width().max(*width),
                    None => widths.push(cell.width()),
                }
            }
        }
        for row in self.rows {
            let last = row.len().saturating_sub(1);
            let mut line = Text::new();
            for (column, cell) in row.into_iter().enumerate() {
                line = match column == last {
                    true => line.joined(cell),
                    false => line.joined(cell.padded(widths[column] + 2)),
                };
            }
            shell.line(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::testing::Bench;

    #[test]
    fn columns_line_up_for_the_eye_also_where_letters_are_wide() {
        let mut bench = Bench::piped();
        let mut table = Table::new();
        table.row(["\u{65e5}\u{672c}", "a"].map(Text::from));
        table.row(["e\u{301}", "b"].map(Text::from));
        table.row(["abcd", "c"].map(Text::from));
        table.print(&mut bench.shell);
        assert_eq!(bench.stdout(), "\u{65e5}\u{672c}  a\ne\u{301}     b\nabcd  c\n");
    }

    #[test]
    fn columns_line_up_and_nothing_is_padded_at_the_end() {
        let mut bench = Bench::piped();
        let mut table = Table::new();
        table.row(["a", "bbb", "c"].map(Text::from));
        table.row(["aaaa", "b", ""].map(Text::from));
        table.print(&mut bench.shell);
        assert_eq!(bench.stdout(), "a     bbb  c\naaaa  b\n");
    }
}
