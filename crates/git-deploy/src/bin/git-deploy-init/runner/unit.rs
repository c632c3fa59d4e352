//! A unit of systemd.

use std::fmt;

/// What it is called.
pub(super) const NAME: &str = "git-deploy-runner.service";

/// A service that works the queue of a repository off.
pub(super) struct Unit<'a> {
    /// The repository.
    pub(super) folder: &'a str,
    /// `git-deploy-queue`.
    pub(super) program: &'a str,
    /// Where kubeconfigs are that are not where kubectl looks by itself, as in `KUBECONFIG`.
    pub(super) kubeconfig: Option<&'a str>,
    /// Whether images are built.
    pub(super) builds: bool,
    /// Whether it is for the manager of the system, and not for that of a user.
    pub(super) is_system: bool,
}

/// What a program without a builder never needs, in a service of the system.
const CONFINED: &str = "\
# Nothing that it starts needs more than the user has. If it comes to build images, write this file anew.
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=full
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
SystemCallArchitectures=native
";

/// The same in a service of a user, whose manager may do no more than that.
const CONFINED_USER: &str = "\
# Nothing that it starts needs more than the user has. If it comes to build images, write this file anew.
NoNewPrivileges=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
SystemCallArchitectures=native
";

/// What a builder without privileges bears: it gets user ids by newuidmap, which is setuid, makes namespaces, and mounts
/// /proc in them, which nothing may hide.
const BUILDING: &str = "\
# Images are built here: a builder without privileges takes newuidmap, which is setuid, and namespaces with a whole /proc.
# That is why NoNewPrivileges and what implies it, RestrictNamespaces and ProtectKernel* are missing.
PrivateTmp=yes
ProtectSystem=full
";

impl Unit<'_> {
    /// How it is installed.
    pub(super) fn hints(&self) -> Vec<String> {
        let steps: &[&str] = if self.is_system {
            &["as root, into /etc/systemd/system, then: systemctl enable --now git-deploy-runner"]
        } else {
            &[
                "into ~/.config/systemd/user, then: systemctl --user enable --now git-deploy-runner",
                "so that it runs while you are not logged in: loginctl enable-linger",
            ]
        };
        steps.iter().map(|step| (*step).to_owned()).collect()
    }
}

impl fmt::Display for Unit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bin = self.program.rsplit_once('/').map_or("", |(folder, _)| folder);
        writeln!(
            f,
            "# Works the queue off, as 'git deploy-queue run --watch' does. Written by 'git deploy-init runner'."
        )?;
        writeln!(f, "[Unit]\nDescription=Queue of git-deploy in {}", specified(self.folder))?;
        writeln!(f, "Documentation=man:git-deploy-queue(1)")?;
        if self.is_system {
            writeln!(f, "Wants=network-online.target\nAfter=network-online.target")?;
        }
        writeln!(f, "# It is tried again for ever, see Restart.\nStartLimitIntervalSec=0\n\n[Service]")?;
        if self.is_system {
            writeln!(
                f,
                "# Whose the repository is, and the key for the remote, and the kubeconfig.\nUser=git-deploy"
            )?;
        }
        writeln!(f, "Type=exec\nWorkingDirectory={}", specified(self.folder))?;
        let path = format!("PATH={bin}:/usr/local/bin:/usr/bin:/bin");
        writeln!(f, "Environment={}", quoted(&path))?;
        if let Some(kubeconfig) = self.kubeconfig {
            writeln!(f, "Environment={}", quoted(&format!("KUBECONFIG={kubeconfig}")))?;
        }
        // The program's path alone is no place for variables: '$$' would be two letters of it.
        writeln!(f, "ExecStart={} run --watch", quoted(self.program))?;
        writeln!(f, "# 'systemctl reload' has it look at once what there is to do.")?;
        writeln!(f, "ExecReload=/bin/kill -USR1 $MAINPID")?;
        writeln!(
            f,
            "# It ends between two steps, with 143. It alone is told so: what it has started ends by itself, or at last."
        )?;
        writeln!(f, "KillMode=mixed\nTimeoutStopSec=120\nSuccessExitStatus=143")?;
        writeln!(
            f,
            "# While it runs it waits out by itself what is nobody's fault. Before version 254 systemd passes over the last two."
        )?;
        writeln!(f, "Restart=on-failure\nRestartSec=10\nRestartSteps=5\nRestartMaxDelaySec=600")?;
        f.write_str(match (self.builds, self.is_system) {
            (true, true) => BUILDING,
            (true, false) => "",
            (false, true) => CONFINED,
            (false, false) => CONFINED_USER,
        })?;
        let target = if self.is_system { "multi-user.target" } else { "default.target" };
        writeln!(f, "\n[Install]\nWantedBy={target}")
    }
}

/// A value in which `%` begins nothing.
fn specified(text: &str) -> String {
    text.replace('%', "%%")
}

/// A word that may have blanks in it.
fn quoted(text: &str) -> String {
    let text = specified(text).replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(builds: bool, is_system: bool) -> String {
        let folder = "/srv/a b/100%/shop";
        let (program, kubeconfig) = ("/opt/$x \"y\"/git-deploy-queue", Some("/srv/a b/100%:/srv/\"c\""));
        Unit { folder, program, kubeconfig, builds, is_system }.to_string()
    }

    fn has(unit: &str, line: &str) -> bool {
        unit.lines().any(|found| found == line)
    }

    #[test]
    fn paths_are_written_as_systemd_reads_them() {
        let unit = unit(false, true);
        assert!(has(&unit, "WorkingDirectory=/srv/a b/100%%/shop"), "{unit}");
        assert!(has(&unit, r#"ExecStart="/opt/$x \"y\"/git-deploy-queue" run --watch"#), "{unit}");
        assert!(has(&unit, r#"Environment="PATH=/opt/$x \"y\":/usr/local/bin:/usr/bin:/bin""#), "{unit}");
        assert!(has(&unit, r#"Environment="KUBECONFIG=/srv/a b/100%%:/srv/\"c\"""#), "{unit}");
    }

    #[test]
    fn only_the_runner_itself_is_told_to_end_and_it_is_no_failure() {
        for unit in [unit(false, true), unit(true, false)] {
            for line in ["KillMode=mixed", "SuccessExitStatus=143", "Restart=on-failure", "Type=exec"] {
                assert!(has(&unit, line), "{line}\n{unit}");
            }
            assert!(!unit.contains("Watchdog"), "nobody would feed it");
        }
    }

    #[test]
    fn whoever_builds_images_may_get_user_ids_and_namespaces() {
        // Each of the last ones implies the first, or hides a part of /proc.
        let hinders = ["NoNewPrivileges=", "RestrictNamespaces=", "LockPersonality=", "RestrictRealtime="];
        let hinders =
            [&hinders[..], &["SystemCall", "ProtectKernel", "ProtectClock=", "PrivateDevices="]].concat();
        for is_system in [true, false] {
            let (builds, confined) = (unit(true, is_system), unit(false, is_system));
            let is_set = |unit: &str, key: &str| unit.lines().any(|line| line.starts_with(key));
            assert!(hinders.iter().all(|key| !is_set(&builds, key)), "{builds}");
            assert!(is_set(&confined, "NoNewPrivileges=yes"), "{confined}");
        }
    }
}
