package lab

import (
	"bytes"
	"encoding/xml"
	"fmt"
)

// advisory is one entry of a repository's updateinfo.
type advisory struct {
	id, kind, severity, status, title string
	issued                            string
	cves                              []string
	packages                          []PackageSpec
	reboot                            bool
}

// advisories of a repository. They name packages of the catalogue.
func advisories(repo string) []advisory {
	at := func(name, version, release, arch string) PackageSpec {
		return PackageSpec{Name: name, Version: version, Release: release + ".lab9", Arch: arch}
	}
	switch repo {
	case repoUpdates:
		epoch := at("lab-epoch", "4.0", "1", "noarch")
		epoch.Epoch = 1
		return []advisory{
			{id: "LABSA-2024:0001", kind: "security", severity: "Important", title: "lab-tools security update", issued: "2024-04-02 10:00:00",
				cves: []string{"CVE-2024-10001", "CVE-2024-10002"}, packages: []PackageSpec{at("lab-tools", "1.1", "1", "x86_64")}},
			{id: "LABBA-2024:0002", kind: "bugfix", title: "lab-tools bug fix update", issued: "2024-05-02 10:00:00",
				packages: []PackageSpec{at("lab-tools", "1.2", "1", "x86_64")}},
			{id: "LABSA-2024:0003", kind: "security", severity: "Critical", title: "glibc security update", issued: "2024-05-10 10:00:00", reboot: true,
				cves: []string{"CVE-2024-10003"}, packages: []PackageSpec{at("glibc", "2.34", "83", "x86_64"), at("glibc", "2.34", "83", "i686"), at("glibc-common", "2.34", "83", "x86_64")}},
			{id: "LABSA-2024:0004", kind: "security", severity: "Moderate", title: "kernel security update", issued: "2024-05-11 10:00:00", reboot: true,
				cves: []string{"CVE-2024-10004"}, packages: []PackageSpec{at("kernel", "5.14.0", "427.13.1", "x86_64")}},
			{id: "LABSA-2024:0005", kind: "security", severity: "Low", title: "openssh security update", issued: "2024-05-12 10:00:00",
				cves: []string{"CVE-2024-10005"}, packages: []PackageSpec{at("openssh", "8.7p1", "38", "x86_64"), at("openssh-server", "8.7p1", "38", "x86_64")}},
			{id: "LABEA-2024:0006", kind: "enhancement", title: "lab-app 2.0", issued: "2024-05-13 10:00:00",
				packages: []PackageSpec{at("lab-app", "2.0", "1", "x86_64"), at("lab-app-data", "2.0", "1", "noarch"), at("lab-lib", "2.0", "1", "x86_64"), at("lab-app-plugins", "2.0", "1", "x86_64")}},
			{id: "LABBA-2024:0007", kind: "bugfix", title: "lab-epoch goes back to 4.0", issued: "2024-05-14 10:00:00", packages: []PackageSpec{epoch}},
			{id: "LABSA-2024:0008", kind: "security", severity: "Important", title: "lab-held security update", issued: "2024-05-15 10:00:00",
				cves: []string{"CVE-2024-10008"}, packages: []PackageSpec{at("lab-held", "2.0", "1", "noarch")}},
			{id: "LABBA-2024:0009", kind: "bugfix", status: "retracted", title: "lab-retracted 1.1, withdrawn", issued: "2024-05-16 10:00:00",
				packages: []PackageSpec{at("lab-retracted", "1.1", "1", "noarch")}},
		}
	case repoTrouble:
		return []advisory{
			{id: "LABBA-2024:0100", kind: "bugfix", title: "labsvc 2.0", issued: "2024-06-01 10:00:00",
				packages: []PackageSpec{at("labsvc", "2.0", "1", "x86_64")}},
		}
	}
	return nil
}

// updateinfo writes the advisories of a repository as yum's updateinfo.xml, nil if none.
func updateinfo(repo string) []byte {
	list := advisories(repo)
	if list == nil {
		return nil
	}
	var out bytes.Buffer
	out.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<updates>\n")
	for _, a := range list {
		if a.status == "" {
			a.status = "final"
		}
		fmt.Fprintf(&out, "  <update from=\"security@lab.invalid\" status=%q type=%q version=\"1\">\n", a.status, a.kind)
		fmt.Fprintf(&out, "    <id>%s</id>\n    <title>%s</title>\n", text(a.id), text(a.title))
		fmt.Fprintf(&out, "    <issued date=%q/>\n    <updated date=%q/>\n", a.issued, a.issued)
		if a.severity != "" {
			fmt.Fprintf(&out, "    <severity>%s</severity>\n", text(a.severity))
		}
		fmt.Fprintf(&out, "    <description>%s, for the hosts of the lab.</description>\n    <references>\n", text(a.title))
		for _, cve := range a.cves {
			fmt.Fprintf(&out, "      <reference href=\"https://cve.lab.invalid/%s\" id=%q type=\"cve\" title=%q/>\n", cve, cve, cve)
		}
		fmt.Fprintf(&out, "    </references>\n    <pkglist>\n      <collection short=%q>\n        <name>%s</name>\n", repo, repo)
		for _, p := range a.packages {
			fmt.Fprintf(&out, "        <package name=%q version=%q release=%q epoch=\"%d\" arch=%q src=\"%s-%s-%s.src.rpm\">\n          <filename>%s</filename>\n",
				p.Name, p.Version, p.Release, p.Epoch, p.Arch, p.Name, p.Version, p.Release, p.FileName())
			if a.reboot {
				out.WriteString("          <reboot_suggested>True</reboot_suggested>\n")
			}
			out.WriteString("        </package>\n")
		}
		out.WriteString("      </collection>\n    </pkglist>\n  </update>\n")
	}
	out.WriteString("</updates>\n")
	return out.Bytes()
}

// text escapes character data.
func text(s string) string {
	var out bytes.Buffer
	_ = xml.EscapeText(&out, []byte(s)) // a buffer takes everything
	return out.String()
}
