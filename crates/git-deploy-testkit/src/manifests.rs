//! Manifests of what stands in the way of others in a namespace.

/// A policy that lets no ConfigMap `colours` into the namespace, and says `no colours here`. Policy and binding have no
/// namespace, and the name of this one.
#[must_use]
pub fn policy(namespace: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{ name: {namespace} }}
spec:
  matchConstraints:
    resourceRules: [{{ apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [configmaps] }}]
    namespaceSelector: {{ matchLabels: {{ kubernetes.io/metadata.name: {namespace} }} }}
  validations: [{{ expression: \"object.metadata.name != 'colours'\", message: no colours here }}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{ name: {namespace} }}
spec: {{ policyName: {namespace}, validationActions: [Deny] }}
"
    )
}

/// A webhook `gone.example.org` that is asked about each new object of that resource in the namespace, and never answers.
/// It has no namespace, and the name of this one.
#[must_use]
pub fn webhook(namespace: &str, group: &str, resource: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{ name: {namespace} }}
webhooks:
- name: gone.example.org
  clientConfig: {{ url: 'https://127.0.0.1:1/' }}
  rules: [{{ apiGroups: ['{group}'], apiVersions: [v1], operations: [CREATE], resources: [{resource}] }}]
  namespaceSelector: {{ matchLabels: {{ kubernetes.io/metadata.name: {namespace} }} }}
  sideEffects: None
  admissionReviewVersions: [v1]
"
    )
}
