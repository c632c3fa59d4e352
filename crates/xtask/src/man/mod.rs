//! Manual pages, from what the commands say about themselves.
//!
//! `git deploy-state --help` opens the page `git-deploy-state`, so a page has all subcommands in it. Nothing in a
//! page depends on when or where it was made.

mod manual;

use anyhow::Context as _;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};
use manual::{Block, blocks};
use std::fs;
use std::path::Path;

/// Writes one page a command.
pub(crate) fn write(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create '{}'", dir.display()))?;
    for command in git_deploy_cli::args::commands() {
        let path = dir.join(format!("{}.1", command.get_name()));
        fs::write(&path, page(command)?).with_context(|| format!("cannot write '{}'", path.display()))?;
    }
    Ok(())
}

/// The page of one command.
fn page(command: Command) -> anyhow::Result<String> {
    let mut page = Roff::new();
    describe(&mut page, &command);
    let description = body(&page);

    let mut subcommands = String::new();
    for (index, subcommand) in command.get_subcommands().enumerate() {
        if index == 0 {
            subcommands.push_str(".SH SUBCOMMANDS\n");
        }
        subcommands.push_str(&subsection(subcommand)?);
    }

    let manual = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let name = command.get_name().to_uppercase();
    let source = format!("git-deploy {}", command.get_version().unwrap_or_default());
    // Without a date; were it empty, the source would take its place.
    let man = Man::new(command).title(name).date(" ").source(source).manual("Git Deploy Manual");

    let mut head = Vec::new();
    man.render_title(&mut head)?;
    let mut page = String::from_utf8(head)?;
    page.push_str(&section(|to| man.render_name_section(to))?);
    page.push_str(&section(|to| man.render_synopsis_section(to))?);
    page.push_str(&description);
    page.push_str(&section(|to| man.render_options_section(to))?);
    page.push_str(&subcommands);
    page.push_str(&body(&typeset(&manual)));
    Ok(page)
}

/// The description without its first paragraph, which is the page's name line.
fn describe(page: &mut Roff, command: &Command) {
    let about = command.get_long_about().map(ToString::to_string).unwrap_or_default();
    page.control("SH", ["DESCRIPTION"]);
    for (index, paragraph) in about.split("\n\n").skip(1).enumerate() {
        if index > 0 {
            page.control("PP", []);
        }
        page.text(with_links(paragraph));
    }
}

/// A subcommand, as a part of the page of its command.
fn subsection(subcommand: &Command) -> anyhow::Result<String> {
    let mut head = Roff::new();
    let usage = subcommand.clone().render_usage().to_string();
    head.control("SS", [subcommand.get_name()]);
    head.text([bold(usage.trim_start_matches("Usage: "))]);
    head.control("PP", []);
    head.text(with_links(&format!(
        "{}.",
        subcommand.get_about().map(ToString::to_string).unwrap_or_default()
    )));
    let own = subcommand.clone().disable_help_flag(true);
    let options = if own.get_arguments().next().is_some() {
        section(|to| Man::new(own.clone()).render_options_section(to))?
    } else {
        String::new()
    };
    Ok(body(&head) + options.trim_start_matches(".SH OPTIONS\n"))
}

/// The part of a manual that is written by hand.
fn typeset(manual: &str) -> Roff {
    let mut page = Roff::new();
    let mut is_first = true;
    for block in blocks(manual) {
        if !is_first && matches!(block, Block::Paragraph(_)) {
            page.control("PP", []);
        }
        is_first = matches!(block, Block::Heading(_));
        match block {
            Block::Heading(heading) => {
                page.control("SH", [heading.as_str()]);
            }
            Block::Paragraph(text) => {
                page.text(with_links(&text));
            }
            Block::Item { term, text } => {
                page.control("TP", []);
                page.text([bold(term)]);
                page.text(with_links(&text));
            }
            Block::Literal(lines) => {
                page.control("PP", []).control("RS", ["4"]).control("nf", []);
                for line in lines {
                    page.text([roman(line)]);
                }
                page.control("fi", []).control("RE", []);
            }
        }
    }
    page
}

/// Text in which the names of other pages stand out.
fn with_links(text: &str) -> Vec<Inline> {
    let mut inlines = Vec::new();
    for (index, word) in text.split_whitespace().enumerate() {
        if index > 0 {
            inlines.push(roman(" "));
        }
        match word.split_once("(1)") {
            Some((name, rest)) => inlines.extend([bold(name), roman(format!("(1){rest}"))]),
            None => inlines.push(roman(word)),
        }
    }
    inlines
}

/// A section without the definitions that stand at the top of the page once.
fn section(render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> anyhow::Result<String> {
    let mut rendered = Vec::new();
    render(&mut rendered)?;
    Ok(without_definitions(&String::from_utf8(rendered)?))
}

fn body(roff: &Roff) -> String {
    without_definitions(&roff.render())
}

fn without_definitions(rendered: &str) -> String {
    let is_definition = |line: &&str| line.starts_with(".ie ") || line.starts_with(".el ");
    rendered.lines().skip_while(is_definition).flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> Vec<(String, String)> {
        let commands = git_deploy_cli::args::commands();
        commands.into_iter().map(|command| (command.get_name().to_owned(), page(command).unwrap())).collect()
    }

    #[test]
    fn every_page_has_a_name_line_for_whatis() {
        for (name, page) in pages() {
            let expected = format!(".SH NAME\n{} \\- ", name.replace('-', "\\-"));
            assert!(page.contains(&expected), "{name}:\n{page}");
        }
    }

    #[test]
    fn every_page_has_the_sections_that_users_look_for() {
        for (name, page) in pages() {
            for heading in
                ["SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "\"EXIT STATUS\"", "\"SEE ALSO\""]
            {
                assert!(page.contains(&format!("\n.SH {heading}\n")), "{name}: {heading}");
            }
            assert_eq!(page.matches(".ie ").count(), 1, "{name}");
        }
    }

    #[test]
    fn the_page_of_a_command_has_its_subcommands_in_it() {
        let (_, page) = pages().into_iter().find(|(name, _)| name == "git-deploy-state").unwrap();
        for subcommand in ["get", "set", "list", "log"] {
            assert!(page.contains(&format!("\n.SS {subcommand}\n")), "{subcommand}");
        }
        assert!(page.contains("\\-\\-priority"));
    }

    #[test]
    fn pages_do_not_depend_on_when_they_are_made() {
        assert_eq!(pages(), pages());
        for (name, page) in pages() {
            let title = page.lines().find(|line| line.starts_with(".TH ")).unwrap();
            assert!(
                title.starts_with(&format!(".TH {} 1 \" \" \"git-deploy ", name.to_uppercase())),
                "{title}"
            );
        }
    }
}
