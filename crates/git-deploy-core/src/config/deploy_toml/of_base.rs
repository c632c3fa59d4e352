//! What a `deploy.toml` says in vain as long as it is not on base.

use super::{DEFAULT_RENDERED_BRANCH, DeployToml, Environment, Target};

impl DeployToml {
    /// The tables and keys that count from `base` alone and stand there otherwise, such as `[registry]`, in the order in
    /// which the documentation has them.
    #[must_use]
    pub fn decided_otherwise_by(&self, base: &Self) -> Vec<String> {
        let mut differing = Vec::new();
        let mut hold = |is_other: bool, what: &str| {
            if is_other {
                differing.push(what.to_owned());
            }
        };
        hold(self.trust_branches != base.trust_branches, "trust-branches");
        hold(self.image_name != base.image_name, "[image-name]");
        hold(self.registry != base.registry, "[registry]");
        hold(self.committer != base.committer, "[rebase]");
        hold(self.approve != base.approve, "[approve]");
        for environment in &self.environments {
            let name = environment.name.as_str();
            let of_base = base.environment(name);
            let is_other = of_base.map_or(!environment.is_default(), |of_base| !environment.is_as(of_base));
            hold(is_other, &format!("[environment.{name}]"));
        }
        for environment in base.environments.iter().filter(|environment| !environment.is_default()) {
            let name = environment.name.as_str();
            hold(self.environment(name).is_none(), &format!("[environment.{name}]"));
        }
        differing
    }
}

impl Environment {
    /// Whether it is the one that there is where a file has none.
    fn is_default(&self) -> bool {
        matches!(&self.target, Target::Rendered { branch, .. } if branch == DEFAULT_RENDERED_BRANCH)
    }

    /// Whether it says the same, wherever in its file.
    fn is_as(&self, other: &Self) -> bool {
        let unplaced = |environment: &Self| {
            let mut environment = environment.clone();
            for setting in environment.lint.values_mut() {
                (setting.line, setting.column) = (0, 0);
            }
            environment
        };
        unplaced(self) == unplaced(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differing(own: &str, base: &str) -> Vec<String> {
        let parse = |text: &str| DeployToml::parse(text).unwrap();
        parse(own).decided_otherwise_by(&parse(base))
    }

    const NAMES: &str = "[image-name]\ncontainer-namespace = \"l\"\nproject-namespace = \"p\"\n";
    const DEMO: &str = "[environment.demo]\nkind = \"rendered\"\nbranch = \"demo\"\nmanifests = [\"deploy\"]\n\
                        [environment.demo.lint]\nimage-tag = \"warn\"\n";

    #[test]
    fn each_table_that_base_decides_is_named_where_it_differs() {
        let own = format!("trust-branches = true\n{NAMES}[registry]\naddress = \"r.example.org\"\n{DEMO}");
        let base = NAMES.replace("\"l\"", "\"other\"") + "[rebase]\ncommitter = \"A <a@b>\"\n";
        let expected = ["trust-branches", "[image-name]", "[registry]", "[rebase]", "[environment.demo]"];
        assert_eq!(differing(&own, &base), expected);
        assert_eq!(differing("", DEMO), ["[environment.demo]"]);
    }

    #[test]
    fn what_the_branch_decides_and_where_something_stands_is_no_difference() {
        let build =
            "[build]\nsteps = [\"true\"]\n[[image]]\nname = \"a\"\ncontext = \"a\"\n[assets]\na = 1\n";
        assert_eq!(differing(&format!("{NAMES}{build}{DEMO}"), &format!("{NAMES}{DEMO}")), [""; 0]);
        let stricter = DEMO.replace("warn", "error");
        assert_eq!(differing(&stricter, DEMO), ["[environment.demo]"]);
    }
}
