//! `git deploy-init`: sets up, changes nothing that is not its own, and undoes exactly what it did.

mod base;
mod beside;
mod copies;
mod files;
mod hooks;
mod post_commit;
mod runner;
mod scripts;
mod setting_up;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use git_deploy_testkit::Repo;

const HOOKS: [&str; 3] = ["pre-push", "post-merge", "post-rewrite"];

/// Every file below a folder with its bytes and whether it may be executed.
fn files(folder: &Path) -> BTreeMap<String, (Vec<u8>, bool)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        for entry in fs::read_dir(&current).into_iter().flatten() {
            let path = entry.expect("a folder can be read to its end").path();
            if path.is_dir() {
                found.insert(format!("{}/", path.display()), (Vec::new(), false));
                folders.push(path);
            } else {
                let metadata = fs::metadata(&path).expect("a link of a test leads somewhere");
                let executable = metadata.permissions().mode() & 0o111 != 0;
                found.insert(
                    path.display().to_string(),
                    (fs::read(&path).expect("a file can be read"), executable),
                );
            }
        }
    }
    found
}

fn write_hook(repo: &Repo, path: &str, text: &str) {
    repo.write(path, text);
    fs::set_permissions(repo.path().join(path), fs::Permissions::from_mode(0o755))
        .expect("it was just written");
}
