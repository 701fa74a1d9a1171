// Package lab makes a throwaway fleet of real hosts on this machine: each has its own
// sshd, file system, rpm database, address, processes and, where asked for, systemd. It
// also builds the packages, the signed repositories and the site that go with them, and
// can break the hosts in the ways real ones break (features.md UI-4).
//
// A host is an overlay over the machine's root file system inside its own mount, PID,
// UTS, IPC and network namespace. Nothing is mounted in the machine's own namespace and no
// name is registered anywhere but a bridge and its ports, so that taking a lab down
// means ending its processes, deleting the bridge and removing one directory.
//
// The lab needs root, Linux namespaces, overlayfs, veth, and the tools of util-linux,
// iproute2, OpenSSH, rpm, createrepo_c and sudo. It is meant for machines where a root
// process may do as it likes: a lab host is not a security boundary.
package lab
