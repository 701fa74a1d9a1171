package main

import (
	"time"

	"cpacman/internal/repo"
	"cpacman/internal/rpm"
	"cpacman/planner"
)

// listedRepo is a repository of repo list in JSON.
type listedRepo struct {
	ID         string `json:"id"`
	Kind       string `json:"kind"` // repomd or directory
	Packages   int    `json:"packages"`
	Advisories *int   `json:"advisories"` // null: the repository has no advisory data
	Priority   int    `json:"priority"`   // the smaller wins
	Auto       bool   `json:"auto"`
	Signed     string `json:"signed"`
	Digest     string `json:"digest"`
	Path       string `json:"path"`
	Error      string `json:"error"` // why it could not be read; empty where it could
}

// shownPackage is a package of repo show in JSON.
type shownPackage struct {
	NEVRA    rpm.NEVRA        `json:"nevra"`
	Path     string           `json:"path"` // below the repository
	Size     *int64           `json:"size"` // bytes; null where neither metadata nor a file tell
	Checksum planner.Checksum `json:"checksum"`
	Vendor   string           `json:"vendor"`
}

// shownProblem is what repo check finds, in JSON.
type shownProblem struct {
	Repo    string `json:"repo"`
	File    string `json:"file"`
	Package string `json:"package"`
	What    string `json:"what"`
	Note    bool   `json:"note"` // worth knowing, and no error
}

// shownAdvisory is an advisory in JSON.
type shownAdvisory struct {
	ID               string           `json:"id"`
	Type             string           `json:"type"`
	Severity         string           `json:"severity"`
	Status           string           `json:"status"`
	Title            string           `json:"title"`
	Issued           *time.Time       `json:"issued"`  // null: not said
	Updated          *time.Time       `json:"updated"` // null: not said
	CVEs             []string         `json:"cves"`
	References       []shownReference `json:"references"`
	Packages         []rpm.NEVRA      `json:"packages"`
	RebootSuggested  bool             `json:"reboot_suggested"`
	RestartSuggested bool             `json:"restart_suggested"`
}

type shownReference struct {
	Type  string `json:"type"`
	ID    string `json:"id"`
	Href  string `json:"href"`
	Title string `json:"title"`
}

func showAdvisory(a *repo.Advisory) shownAdvisory {
	x := shownAdvisory{ID: a.ID, Type: a.Type, Severity: a.Severity, Status: a.Status, Title: a.Title, CVEs: append([]string{}, a.CVEs...),
		References: []shownReference{}, Packages: []rpm.NEVRA{}, RebootSuggested: a.RebootSuggested, RestartSuggested: a.RestartSuggested}
	for _, r := range a.References {
		x.References = append(x.References, shownReference(r))
	}
	for _, p := range a.Packages {
		x.Packages = append(x.Packages, p.NEVRA)
	}
	if !a.Issued.IsZero() {
		x.Issued = &a.Issued
	}
	if !a.Updated.IsZero() {
		x.Updated = &a.Updated
	}
	return x
}
