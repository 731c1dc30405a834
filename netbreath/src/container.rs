//! What the path of a cgroup tells: the container, by its id, and the Kubernetes
//! pod, by its uid. Runtimes name their cgroups by a few habits, with systemd (units
//! with a prefix and `.scope`) and without (bare ids); nothing else tells them apart.

use std::borrow::Cow;

/// Where a cgroup is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place<'a> {
    /// 64 hexadecimal digits, as `docker ps --no-trunc` or `crictl ps --no-trunc`
    /// print them.
    pub container: Option<&'a str>,
    /// As in `metadata.uid`; of a static pod, 32 hexadecimal digits.
    pub pod: Option<Cow<'a, str>>,
}

/// Length of a container's id.
const ID: usize = 64;

/// What `path` tells. Where containers are nested, the innermost counts: it is the
/// one that the process is in.
pub fn place(path: &str) -> Place<'_> {
    let mut place = Place::default();
    for name in path.split('/') {
        if let Some(id) = container(name) {
            place.container = Some(id);
        }
        if let Some(uid) = pod(name) {
            // A pod in a container, as `kind` has them: the container outside is not
            // in the pod.
            if container(name).is_none() {
                place.container = None;
            }
            place.pod = Some(uid);
        }
    }
    place
}

/// The id in `ID`, `docker-ID.scope`, `…:cri-containerd:ID` and their like.
fn container(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let (prefix, id) = name.split_at_checked(name.len().checked_sub(ID)?)?;
    // The monitor of a container runs outside of it, in a cgroup of the same name.
    let is_monitor = prefix.ends_with("conmon-");
    let ends_word = prefix.is_empty() || prefix.ends_with(['-', ':']);
    (is_hex(id) && ends_word && !is_monitor).then_some(id)
}

/// The uid in `podUID`, `kubepods-burstable-podUID.slice` and their like.
fn pod(name: &str) -> Option<Cow<'_, str>> {
    // A runtime that is set up without systemd where the kubelet has it.
    let name = name.split(':').next()?;
    let name = name.strip_suffix(".slice").unwrap_or(name);
    let uid = match name.strip_prefix("pod") {
        Some(uid) => uid,
        None => name.rsplit_once("-pod")?.1,
    };
    // systemd takes a hyphen for a step down the hierarchy, so there it is escaped.
    if is_hex(uid) && uid.len() == 32 || is_uuid(uid, b'-') {
        Some(Cow::Borrowed(uid))
    } else if is_uuid(uid, b'_') {
        Some(Cow::Owned(uid.replace('_', "-")))
    } else {
        None
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_uuid(text: &str, separator: u8) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => byte == separator,
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const B: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
    const UID: &str = "3f0c5c3e-9e0a-4b6f-8d55-0b2f7a1c9e42";
    const ESCAPED: &str = "3f0c5c3e_9e0a_4b6f_8d55_0b2f7a1c9e42";
    const STATIC: &str = "0d3f1a6c5b7e4892a1c0d3f1a6c5b7e4";

    /// Fills in A, B, U(id), E(scaped) and S(tatic) for `{…}`.
    fn told(shape: &str) -> (Option<String>, Option<String>) {
        let path = shape
            .replace("{A}", A)
            .replace("{B}", B)
            .replace("{U}", UID)
            .replace("{E}", ESCAPED)
            .replace("{S}", STATIC);
        let Place { container, pod } = place(&path);
        (container.map(str::to_owned), pod.map(Cow::into_owned))
    }

    #[test]
    fn containers_without_a_pod() {
        for shape in [
            // Docker, with systemd, without, rootless, with a parent of its own.
            "/system.slice/docker-{A}.scope",
            "/docker/{A}",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope",
            "/user.slice/user-1000.slice/user@1000.service/docker.service/{A}",
            "/build.slice/docker-{A}.scope",
            "/system.slice/docker-{A}.scope/init.scope",
            "/docker/{A}/system.slice/nginx.service",
            // Podman, as root and rootless, in a pod of its own, below a cgroup that
            // it delegates.
            "/machine.slice/libpod-{A}.scope",
            "/machine.slice/libpod-{A}.scope/container",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container",
            "/machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope",
            "/libpod_parent/libpod-{A}",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_{B}.slice/libpod-{A}.scope",
            // nerdctl, containerd's own ctr, CRI without a kubelet, Amazon ECS.
            "/system.slice/nerdctl-{A}.scope",
            "/default/{A}",
            "/k8s.io/{A}",
            "/system.slice/cri-containerd-{A}.scope",
            "/ecs/1234567890abcdef1234567890abcdef/{A}",
            "/ecstasks.slice/ecstasks-1234567890abcdef1234567890abcdef.slice/docker-{A}.scope",
            // One in another.
            "/docker/{B}/docker/{A}",
            "/system.slice/docker-{B}.scope/system.slice/docker-{A}.scope",
        ] {
            assert_eq!(told(shape), (Some(A.to_owned()), None), "{shape}");
        }
    }

    #[test]
    fn containers_in_a_pod() {
        for shape in [
            // systemd: containerd, CRI-O, Docker; each class of service.
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{E}.slice/cri-containerd-{A}.scope",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{E}.slice/crio-{A}.scope",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{E}.slice/crio-{A}.scope/container",
            "/kubepods.slice/kubepods-pod{E}.slice/docker-{A}.scope",
            "/kubepods.slice/kubepods-pod{E}.slice/cri-containerd-{A}.scope/app.slice/x.service",
            // cgroupfs.
            "/kubepods/burstable/pod{U}/{A}",
            "/kubepods/besteffort/pod{U}/crio-{A}",
            "/kubepods/pod{U}/{A}",
            // containerd with cgroupfs where the kubelet has systemd.
            "/system.slice/containerd.service/kubepods-burstable-pod{E}.slice:cri-containerd:{A}",
            "/kubepods-besteffort-pod{E}.slice:cri-containerd:{A}",
            // kind, k3d: a node in a container.
            "/docker/{B}/kubelet/kubepods/burstable/pod{U}/{A}",
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod{E}.slice/cri-containerd-{A}.scope",
            "/system.slice/docker-{B}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{E}.slice/cri-containerd-{A}.scope",
        ] {
            assert_eq!(told(shape), (Some(A.to_owned()), Some(UID.to_owned())), "{shape}");
        }
    }

    #[test]
    fn pods_of_the_node_itself_have_another_uid() {
        let both = (Some(A.to_owned()), Some(STATIC.to_owned()));
        assert_eq!(told("/kubepods/burstable/pod{S}/{A}"), both);
        assert_eq!(
            told(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{S}.slice/cri-containerd-{A}.scope"
            ),
            both
        );
    }

    #[test]
    fn a_pod_without_a_container() {
        let pod = (None, Some(UID.to_owned()));
        for shape in [
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{E}.slice",
            "/kubepods/pod{U}",
            "/docker/{B}/kubepods/pod{U}",
            "/kubepods.slice/kubepods-pod{E}.slice/crio-conmon-{A}.scope",
        ] {
            assert_eq!(told(shape), pod, "{shape}");
        }
    }

    #[test]
    fn neither() {
        for shape in [
            "/",
            "",
            "/init.scope",
            "/system.slice/nginx.service",
            "/system.slice/docker.service",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-4242.scope",
            // The monitors of containers, and a pod of podman's.
            "/machine.slice/libpod-conmon-{A}.scope",
            "/machine.slice/machine-libpod_pod_{A}.slice",
            // Too short, too long, no number, not at the end of a word.
            "/docker/0123456789ab",
            "/docker/{A}0",
            "/docker/0{A}",
            "/docker/{A}x.scope",
            "/docker/DEADBEEFDEADBEEFDEADBEEFDEADBEEFDEADBEEFDEADBEEFDEADBEEFDEADBEEF",
            "/kubepods/pod-1234",
            "/kubepods.slice/kubepods-pod.slice",
            "/kubepods/pod3f0c5c3e-9e0a_4b6f-8d55-0b2f7a1c9e42",
            "/lxc.payload.web/pod/podinfo",
            // Not every byte is a character's start.
            "/é{A}é",
            "/ééééééééééééééééééééééééééééééééé",
        ] {
            assert_eq!(told(shape), (None, None), "{shape}");
        }
    }
}
