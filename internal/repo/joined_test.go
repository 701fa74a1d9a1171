package repo

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/rpm"
)

// noticeXML is a notice of id A.
func noticeXML(kind, severity, status, date, rest string) string {
	return `<update type="` + kind + `" status="` + status + `"><id>A</id><severity>` + severity + `</severity><issued date="` + date + `"/>` + rest + `</update>`
}

// listing is a package list of one notice.
func listing(name string) string {
	return `<pkglist><collection><package name="` + name + `" epoch="0" version="1" release="1" arch="noarch"/></collection></pkglist>`
}

// joined reads notices in every order, which must be one.
func joined(t *testing.T, notices ...string) (out Advisory) {
	t.Helper()
	for i := range notices {
		turned := slices.Concat(notices[i:], notices[:i])
		back := slices.Clone(turned)
		slices.Reverse(back)
		for _, order := range [][]string{turned, back} {
			dir := madeRepo(t, metaFile{kind: "primary", content: primaryXML()},
				metaFile{kind: "updateinfo", content: "<updates>" + strings.Join(order, "\n") + "</updates>"})
			list, err := open(t, dir, Options{}).Advisories()
			if err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
			if out.ID == "" {
				out = list[0]
			}
			if d := cmp.Diff(out, list[0]); d != "" {
				t.Fatalf("another order of\n%s\n%s", strings.Join(notices, "\n"), d)
			}
		}
	}
	return out
}

// TestNoticesOfOneDate: of notices with one id none is newer, and what they say is joined, to the more serious side, in whatever order they come.
func TestNoticesOfOneDate(t *testing.T) {
	cve := `<references><reference type="cve" id="CVE-1"/></references>`
	a := joined(t, noticeXML("bugfix", "Low", "final", "2020-01-01", cve+listing("a")),
		noticeXML("security", "Important", "stable", "2020-01-01", strings.ReplaceAll(cve, "E-1", "E-2")+listing("b")),
		noticeXML("enhancement", "None", "retracted", "", listing("b")))
	pkg := func(name string) AdvisoryPackage {
		return AdvisoryPackage{NEVRA: rpm.NEVRA{Name: name, EVR: rpm.EVR{Version: "1", Release: "1"}, Arch: "noarch"}, EpochKnown: true}
	}
	want := Advisory{ID: "A", Type: "security", Severity: "important", Status: "retracted", Issued: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		CVEs: []string{"CVE-1", "CVE-2"}, References: []Reference{{Type: "cve", ID: "CVE-1"}, {Type: "cve", ID: "CVE-2"}},
		Packages: []AdvisoryPackage{pkg("a"), pkg("b")}}
	if d := cmp.Diff(want, a); d != "" {
		t.Error(d)
	}
	ranks := []string{"critical", "important", "moderate", "low", "unknown", ""}
	for i, high := range ranks {
		for _, low := range ranks[i:] {
			if a := joined(t, noticeXML("security", low, "", "", ""), noticeXML("security", high, "", "", "")); a.Severity != high {
				t.Errorf("%q and %q are %q", low, high, a.Severity)
			}
		}
	}
}

// TestNoticesOfTwoDates: the newer notice has the word where it has one; the older one keeps its packages.
func TestNoticesOfTwoDates(t *testing.T) {
	a := joined(t, noticeXML("security", "critical", "retracted", "2020-01-01", listing("a")), noticeXML("bugfix", "", "final", "2020-01-02", listing("b")))
	if a.Type != "bugfix" || a.Severity != "critical" || a.Status != "final" || len(a.Packages) != 2 {
		t.Errorf("%+v", a)
	}
	// Of three, two of one date count together.
	a = joined(t, noticeXML("security", "", "", "2020-01-01", ""), noticeXML("bugfix", "low", "", "2020-01-01", ""), noticeXML("", "", "final", "2020-01-02", ""))
	if a.Type != "security" || a.Severity != "low" || a.Status != "final" {
		t.Errorf("%+v", a)
	}
}

// TestManyNoticesOfOneID: a hostile file has as many as fit in it, of one date or each of another.
func TestManyNoticesOfOneID(t *testing.T) {
	const many = 50_000
	for _, apart := range []time.Duration{0, time.Second} {
		list := make([]Advisory, many)
		for i := range list {
			n := strconv.Itoa(i)
			list[i] = Advisory{ID: "A", CVEs: []string{n}, Issued: time.Unix(1e9, 0).Add(time.Duration(i) * apart),
				Packages: []AdvisoryPackage{{NEVRA: rpm.NEVRA{Name: n}}}, References: []Reference{{ID: n}}}
		}
		start := time.Now()
		if a := joinNotices(list); len(a.Packages) != many || len(a.CVEs) != many || len(a.References) != many {
			t.Errorf("%s: %d packages, %d CVEs, %d references", apart, len(a.Packages), len(a.CVEs), len(a.References))
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: it took %s", apart, took)
		}
	}
}
