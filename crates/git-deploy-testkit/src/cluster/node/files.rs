//! What the programs of a node read. The settings are those that were found to be needed.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::requirements::CNI;
use super::{ADDRESS, NODE, PODS};

/// Writes them all below the directory of the cluster.
pub(super) fn write(directory: &Path, registry: &str) -> io::Result<()> {
    let hosts = directory.join("certs.d").join(registry);
    fs::create_dir_all(&hosts)?;
    fs::write(hosts.join("hosts.toml"), format!("server = \"http://{registry}\"\n"))?;
    let cni = directory.join("cni");
    fs::create_dir(&cni)?;
    fs::write(cni.join("pods.conflist"), pod_network().to_string())?;
    fs::write(directory.join("containerd.toml"), containerd(directory, registry))?;
    fs::write(directory.join("kubelet.json"), kubelet(directory).to_string())?;
    fs::write(directory.join("kube-proxy.json"), kube_proxy(directory).to_string())?;
    fs::write(directory.join("registry.json"), docker_registry(directory, registry).to_string())?;
    fs::write(directory.join("policy.json"), r#"{"default":[{"type":"insecureAcceptAnything"}]}"#)?;
    // Pods have no name service; what the machine's is must not matter.
    fs::write(directory.join("resolv.conf"), "")
}

fn pod_network() -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [{
            "type": "bridge",
            "bridge": "pods",
            "isGateway": true,
            "hairpinMode": true,
            "ipam": {
                "type": "host-local",
                "ranges": [[{ "subnet": PODS }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
            },
        }],
    })
}

fn containerd(directory: &Path, registry: &str) -> String {
    let directory = directory.display();
    format!(
        r#"version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{registry}/pause:1"
# Else no sandbox starts where the score of this process may not be lowered.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI}"
conf_dir = "{directory}/cni"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{directory}/certs.d"
"#
    )
}

fn kubelet(directory: &Path) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "authentication": { "anonymous": { "enabled": true }, "webhook": { "enabled": false } },
        "authorization": { "mode": "AlwaysAllow" },
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "resolvConf": directory.join("resolv.conf"),
        // Nobody listens there; without any, each pod is warned of.
        "clusterDNS": ["10.0.0.10"],
        "clusterDomain": "cluster.local",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", directory.file_name().unwrap_or_default().display()),
        "failCgroupV1": false,
        "failSwapOn": false,
        "enforceNodeAllocatable": [],
        // Developers' disks are full.
        "evictionHard": { "memory.available": "1Mi", "nodefs.available": "1Mi", "imagefs.available": "1Mi" },
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": false,
        "registryPullQPS": 0,
        "kubeAPIQPS": 2000,
        "kubeAPIBurst": 4000,
    })
}

fn kube_proxy(directory: &Path) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "hostnameOverride": NODE,
        // The limit is one of the whole machine.
        "conntrack": { "maxPerCore": 0 },
        "clientConnection": { "kubeconfig": directory.join("system:kube-proxy.kubeconfig") },
        "metricsBindAddress": "127.0.0.1:10249",
    })
}

fn docker_registry(directory: &Path, address: &str) -> Value {
    json!({
        "version": "0.1",
        "log": { "level": "warn" },
        "storage": {
            "filesystem": { "rootdirectory": directory.join("registry") },
            "delete": { "enabled": true },
        },
        "http": { "addr": address, "secret": "none" },
    })
}
