use super::*;
use crate::read::{SourceFile, read};

fn pods(images: &[&str]) -> Vec<Object> {
    let pod = |(index, image): (usize, &&str)| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p{index}, namespace: shop}}\n\
             spec:\n  containers:\n  - name: web\n    image: '{image}'\n"
        )
    };
    let text = images.iter().enumerate().map(pod).collect::<Vec<_>>().join("---\n");
    read(&[SourceFile { path: "pods.yaml".to_owned(), bytes: text.into_bytes() }]).unwrap()
}

#[test]
fn an_image_without_a_tag_or_with_latest_is_found() {
    let findings = lint(
        &pods(&["nginx", "nginx:1.27", "r:5000/a/b", "nginx:latest", "Nginx:1"]),
        &Severities::default(),
    );
    let seen: Vec<_> = findings.iter().map(|finding| finding.to_string()).collect();
    assert_eq!(
        seen,
        [
            "image without a tag: 'nginx' of container 'web', name a version or a digest: Pod 'shop/p0' in \
             'pods.yaml' line 1 (document 1) [image-tag]",
            "image without a tag: 'r:5000/a/b' of container 'web', name a version or a digest: Pod 'shop/p2' in \
             'pods.yaml' line 17 (document 3) [image-tag]",
            "image with a tag that moves: 'nginx:latest' of container 'web', name a version or a digest: Pod \
             'shop/p3' in 'pods.yaml' line 25 (document 4) [image-tag]",
            "no image: 'Nginx:1' of container 'web', no image reference: path 'Nginx' has the upper-case letter 'N', \
             write it in lower case: Pod 'shop/p4' in 'pods.yaml' line 33 (document 5) [image-tag]",
        ]
    );
    assert!(findings.iter().all(|finding| finding.severity == Severity::Error));
    assert_eq!(findings[0].container.as_deref(), Some("web"));
}

#[test]
fn an_image_with_a_digest_cannot_change_whatever_its_tag() {
    let digest = format!("@sha256:{}", "0".repeat(64));
    let images = [format!("nginx{digest}"), format!("nginx:latest{digest}")];
    let images: Vec<_> = images.iter().map(String::as_str).collect();
    assert_eq!(lint(&pods(&images), &Severities::default()), []);
}

#[test]
fn the_severity_is_the_environments() {
    let mut severities = Severities::default();
    severities.set("image-tag", Severity::Warn).unwrap();
    assert_eq!(lint(&pods(&["nginx"]), &severities)[0].severity, Severity::Warn);
    severities.set("image-tag", Severity::Off).unwrap();
    assert_eq!(lint(&pods(&["nginx"]), &severities), []);
    assert_eq!(severities.set("image-tags", Severity::Off), Err(UnknownRule("image-tags".to_owned())));
}

#[test]
fn a_severity_is_one_of_three_words() {
    for severity in [Severity::Error, Severity::Warn, Severity::Off] {
        assert_eq!(severity.to_string().parse(), Ok(severity));
    }
    assert_eq!(
        "warning".parse::<Severity>().unwrap_err().to_string(),
        "no severity: 'warning', write 'error', 'warn' or 'off'"
    );
}

#[test]
fn rules_have_names_of_their_own() {
    let names: std::collections::BTreeSet<_> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), RULES.len());
}
