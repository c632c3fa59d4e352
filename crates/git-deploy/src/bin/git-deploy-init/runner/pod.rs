//! Manifests of a runner in the cluster that it deploys to, with no more rights than that takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use git_deploy_cli::args::InitRunner;
use git_deploy_cli::{CommandError, shell_word};
use git_deploy_core::config::deploy_toml::{DeployToml, Environment, Target};
use git_deploy_manifest::rights::{Kinds, Purpose, rules};

use super::remote::Remote;

const MANIFESTS: &str = include_str!("runner.yaml");
const CONTAINERFILE: &str = include_str!("Containerfile");

/// A runner in a cluster.
pub(super) struct Pod<'a> {
    pub(super) arguments: &'a InitRunner,
    pub(super) base: &'a DeployToml,
    /// The contexts of `deploy.toml` that are the cluster which it is in.
    pub(super) contexts: BTreeSet<String>,
    pub(super) base_branch: &'a str,
    pub(super) remote: &'a Remote,
    /// The name of its image.
    pub(super) image: String,
}

/// The name of the runner's image, by which the cluster finds it.
pub(super) fn image(base: &DeployToml, named: Option<&str>) -> Result<String, CommandError> {
    let own = format!("git-deploy-runner:{}", env!("CARGO_PKG_VERSION"));
    match (named, base.registry.address.as_deref()) {
        (Some(named), _) => Ok(named.to_owned()),
        (None, Some(registry)) => Ok(format!("{registry}/{own}")),
        (None, None) => {
            let error = CommandError::usage(
                "base's deploy.toml names no registry: from where is the cluster to get the runner's image?",
            );
            Err(error.hint(format!("name the image, with a registry of yours: --image=<registry>/{own}")))
        }
    }
}

/// The cluster of an environment: context and namespace.
fn cluster(environment: &Environment) -> Option<(&str, &str)> {
    match &environment.target {
        Target::Cluster { context, kube_namespace } => Some((context, kube_namespace)),
        Target::Rendered { .. } => None,
    }
}

/// The contexts that are the cluster of the runner: those that are named, else the only one.
pub(super) fn contexts(base: &DeployToml, named: &[String]) -> Result<BTreeSet<String>, CommandError> {
    let of_base: BTreeSet<String> = base
        .environments()
        .iter()
        .filter_map(|environment| Some(cluster(environment)?.0.to_owned()))
        .collect();
    if let Some(unknown) = named.iter().find(|name| !of_base.contains(*name)) {
        return Err(CommandError::usage(format!(
            "no environment of base's deploy.toml has the context '{unknown}'"
        )));
    }
    if named.is_empty() && of_base.len() > 1 {
        let all = of_base.iter().map(|name| format!("--context={}", shell_word(name)));
        let error =
            CommandError::usage("base's deploy.toml has several contexts: which one will the runner be in?");
        return Err(error.hint(format!("of these: {}", all.collect::<Vec<_>>().join(" "))));
    }
    Ok(if named.is_empty() { of_base } else { named.iter().cloned().collect() })
}

impl Pod<'_> {
    /// All objects.
    pub(super) fn manifests(&self) -> String {
        let arguments = self.arguments;
        let namespaces: BTreeSet<&str> =
            self.grants().into_keys().chain([arguments.namespace.as_str()]).collect();
        let namespaces: Vec<&str> = namespaces.into_iter().collect();
        let [ssh, https] = self.secrets();
        let texts = [
            ("namespaces", namespaces.join(", ")),
            ("secret-ssh", ssh),
            ("secret-https", https),
            ("roles", self.roles()),
            ("kubeconfig", self.kubeconfig()),
            ("token", (!self.contexts.is_empty()).to_string()),
            ("base", git_value(self.base_branch)),
            ("email", format!("git-deploy@{}.invalid", arguments.namespace)),
            ("namespace", text(&arguments.namespace)),
            ("secret", text(&arguments.secret)),
            ("replicas", arguments.replicas.to_string()),
            ("image", text(&self.image)),
            ("pull", self.pull_policy().to_owned()),
            ("remote", text(&self.remote.url)),
        ];
        fill(MANIFESTS, &texts)
    }

    /// Under a tag there can be another image tomorrow, on some nodes and not on others. What is of no registry is on the nodes.
    fn pull_policy(&self) -> &'static str {
        let is_local = !self.image.contains('/') || self.image.starts_with("localhost/");
        if is_local || self.image.contains('@') { "IfNotPresent" } else { "Always" }
    }

    /// How the image is made.
    pub(super) fn containerfile(&self) -> String {
        fill(CONTAINERFILE, &[("image", self.image.clone())])
    }

    /// The environments in the cluster of the runner, each with its own namespace.
    fn environments(&self) -> impl Iterator<Item = (&Environment, &str)> {
        self.base.environments().iter().filter_map(|environment| {
            let (context, namespace) = cluster(environment)?;
            self.contexts.contains(context).then_some((environment, namespace))
        })
    }

    /// What is deployed to each namespace, and whether it is an environment's own.
    fn grants(&self) -> BTreeMap<&str, (Kinds, bool)> {
        let mut grants: BTreeMap<&str, (Kinds, bool)> = BTreeMap::new();
        for (environment, own) in self.environments() {
            let kinds = Kinds::allowed(environment.allow_kinds.as_deref());
            let listed = environment.allow_namespaces.iter().flatten().map(String::as_str);
            // Lease and record are in its own, also where a list leaves that out.
            for namespace in listed.chain([own]).collect::<BTreeSet<_>>() {
                let grant = grants.entry(namespace).or_default();
                let is_deployed_to = namespace != own
                    || environment
                        .allow_namespaces
                        .as_ref()
                        .is_none_or(|list| list.iter().any(|name| name == own));
                if is_deployed_to {
                    grant.0.extend(kinds.clone());
                }
                grant.1 |= namespace == own;
            }
        }
        grants
    }

    fn roles(&self) -> String {
        let runner = &self.arguments.namespace;
        // Runners of several projects may deploy to one namespace.
        let name = format!("git-deploy-runner-{runner}");
        let mut roles = String::new();
        for (namespace, (kinds, is_own)) in self.grants() {
            let metadata = format!("metadata:\n  name: {name}\n  namespace: {}\n", text(namespace));
            roles += &role(&metadata, &kinds, is_own);
            let binding = [
                "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n",
                &metadata,
                &format!("roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: Role\n  name: {name}\n"),
                "subjects:\n- kind: ServiceAccount\n  name: git-deploy-runner\n",
                &format!("  namespace: {}\n---\n", text(runner)),
            ];
            roles += &binding.concat();
        }
        roles
    }

    /// The cluster that it is in, by the contexts of `deploy.toml`, as a key of the ConfigMap.
    fn kubeconfig(&self) -> String {
        if self.contexts.is_empty() {
            return String::new();
        }
        let mut config = "apiVersion: v1
kind: Config
clusters:
- name: here
  cluster:
    server: https://kubernetes.default.svc
    certificate-authority: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
users:
- name: runner
  user:
    tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token
contexts:
"
        .to_owned();
        for context in &self.contexts {
            // Text is always written.
            let _ =
                writeln!(config, "- name: {}\n  context: {{ cluster: here, user: runner }}", text(context));
        }
        let lines = config.lines().map(|line| format!("    {line}\n"));
        format!("  kubeconfig: |\n{}", lines.collect::<String>())
    }

    /// The commands that make the Secret, by ssh and by https.
    fn secrets(&self) -> [String; 2] {
        let InitRunner { namespace, secret, .. } = self.arguments;
        let create = format!("kubectl --namespace={namespace} create secret generic {secret}");
        [
            format!("{create} --from-file=ssh-privatekey=<key> --from-file=known_hosts=<file>"),
            format!("{create} --from-literal=username=<user> --from-file=password=<file>"),
        ]
    }

    /// What is dangerous about it.
    pub(super) fn warnings(&self) -> Vec<String> {
        let namespace = self.arguments.namespace.as_str();
        if self.grants().contains_key(namespace) {
            return vec![format!(
                "branches are deployed to namespace '{namespace}': their pods could take the runner's key and rights, so give it another one"
            )];
        }
        Vec::new()
    }

    /// What it leaves to others.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (namespace, (kinds, _)) in self.grants() {
            if !kinds.outside.is_empty() {
                let kinds = kinds.outside.join(", ");
                notes.push(format!("no Role for '{namespace}' grants what 'allow-kinds' says with {kinds}: that takes a Role or ClusterRole of yours"));
            }
        }
        let others: BTreeSet<&str> = self
            .base
            .environments()
            .iter()
            .filter_map(cluster)
            .map(|(context, _)| context)
            .filter(|context| !self.contexts.contains(*context))
            .collect();
        if !others.is_empty() {
            let others: Vec<&str> = others.into_iter().collect();
            let others = others.join(", ");
            notes.push(format!(
                "other clusters ({others}) take a key 'kubeconfig' in the Secret, with these contexts"
            ));
        }
        if !self.base.images.is_empty() {
            notes.push(
                "in a pod no images are built: a branch waits until CI has pushed those of its rebased commit".to_owned(),
            );
        }
        notes
    }

    /// What comes next.
    pub(super) fn hints(&self) -> Vec<String> {
        let [ssh, https] = self.secrets();
        let mut hints = vec![
            format!("the key for the remote: {ssh}"),
            format!("or, by https: {https}"),
            "if a CA of your own vouches for the remote, add --from-file=ca.crt=<file> to that".to_owned(),
        ];
        let fingerprints = self.base.approve.as_ref().map(|approve| approve.gpg_fingerprints.join(" "));
        if let Some(fingerprints) = fingerprints.filter(|fingerprints| !fingerprints.is_empty()) {
            hints.push(format!(
                "the keys of those who approve: gpg --export {fingerprints} >gpg-keys, and add --from-file=gpg-keys to that"
            ));
        }
        hints
    }
}

fn role(metadata: &str, kinds: &Kinds, is_own: bool) -> String {
    let mut role = format!("apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n{metadata}rules:\n");
    let mut last = None;
    for rule in rules(&kinds.resources, is_own) {
        if last.replace(rule.purpose) != Some(rule.purpose) {
            role += comment(rule.purpose);
        }
        let is_guessed = |name: &String| {
            kinds.guessed.iter().any(|guess| guess.group == rule.group && guess.name == *name)
        };
        if rule.resources.iter().any(is_guessed) {
            role += "# The names of these resources are guessed: 'kubectl api-resources' knows them.\n";
        }
        let list = |words: Vec<String>| format!("[{}]", words.join(", "));
        let resources = list(rule.resources.iter().map(|name| text_in_list(name)).collect());
        let verbs = list(rule.verbs.iter().map(|verb| (*verb).to_owned()).collect());
        let group = text_in_list(&rule.group);
        role += &format!("- apiGroups: [{group}]\n  resources: {resources}\n  verbs: {verbs}\n");
    }
    role + "---\n"
}

fn comment(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Members => {
            "# What is deployed. Take out what you do not deploy: 'allow-kinds' on base bounds it for branches, too.\n"
        }
        Purpose::Parent => "# Who deploys just now, and the record of what was applied.\n",
        Purpose::Namespace => "# The Namespace itself, where it is among the manifests.\n",
        Purpose::Unblock => "# A broken pod of an earlier revision keeps a StatefulSet from going on.\n",
        Purpose::Sight => "# What becomes of it, and why; and what still needs that which is to go.\n",
    }
}

/// A name of RBAC as it may stand in a list of YAML.
fn text_in_list(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-./".contains(c);
    if !name.is_empty() && name.chars().all(is_plain) { name.to_owned() } else { text(name) }
}

/// A template with texts in the places that are named for them in braces. What was put in is not looked at again.
fn fill(template: &str, texts: &[(&str, String)]) -> String {
    let mut pieces = template.split('{');
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let place = piece.split_once('}').and_then(|(name, rest)| {
            let (_, text) = texts.iter().find(|(key, _)| *key == name)?;
            Some([text, rest])
        });
        // Others are braces of shell.
        filled += &place.map_or_else(|| format!("{{{piece}"), |place| place.concat());
    }
    filled
}

/// Any text as a scalar of YAML: JSON is one.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A value of git's configuration.
fn git_value(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./+@".contains(c);
    if text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_place_is_no_place_itself() {
        let texts = [("image", "{base}".to_owned()), ("base", "{image}".to_owned())];
        let filled = fill("{image} f() { x; } {} ${base}{other}{", &texts);
        assert_eq!(filled, "{base} f() { x; } {} ${image}{other}{");
    }
}
