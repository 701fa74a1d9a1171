package repo

import (
	"strings"
	"testing"
	"time"

	"cpacman/internal/rpm"
)

// noticeOf reads a notice, for a repository without packages.
func noticeOf(t *testing.T, attrs, body string) *Advisory {
	t.Helper()
	var got *Advisory
	give := func(u *xmlUpdate) { got, _ = u.advisory(&epochBook{}) }
	if err := readUpdateinfo(strings.NewReader(`<updates><update `+attrs+`><id>A</id>`+body+`</update></updates>`), give); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestReferenceCVEs: a CVE is found by its number however a notice writes it, and what is none stays as it is.
func TestReferenceCVEs(t *testing.T) {
	for in, want := range map[string]string{
		`type="cve" id="CVE-2020-1234"`:                                             "CVE-2020-1234",
		`type="CVE " id=" cve-2020-1234 "`:                                          "CVE-2020-1234",
		`type="cve" id="CVE-2020-1235, CVE-2020-1234"`:                              "CVE-2020-1234 CVE-2020-1235",
		`type="cve" id="https://x/CVE-2020-1234"`:                                   "CVE-2020-1234",
		`type="cve" title="CVE-2020-1234" href="CVE-2020-9999"`:                     "CVE-2020-1234",
		`type="cve" href="https://nvd.nist.gov/vuln/detail/CVE-2020-1234"`:          "CVE-2020-1234",
		`type="cve" id="CAN-2005-1234" title="CVE-2005-1234"`:                       "CAN-2005-1234",
		`type="cve" id=" "`:                                                         "",
		`type="self" id="CVE-2020-1234"`:                                            "CVE-2020-1234",
		`type="self" href="https://x/CVE-2020-1234"`:                                "",
		`type="self" id="CVE-2020-1234"/><reference type="cve" id="CVE-2020-1235" `: "CVE-2020-1235",
	} {
		if a := noticeOf(t, "", "<references><reference "+in+"/></references>"); strings.Join(a.CVEs, " ") != want {
			t.Errorf("%s: %q, want %q", in, a.CVEs, want)
		}
	}
}

// TestNoticeSpaces: white space around words is none of them, and dates as languages print them are dates.
func TestNoticeSpaces(t *testing.T) {
	a := noticeOf(t, `type=" Security " status="retracted "`, "")
	if a.Type != "security" || !a.Retracted() {
		t.Errorf("%q, %q", a.Type, a.Status)
	}
	for _, in := range []string{"Mon Jan  2 03:04:05 2023", "Mon Jan  2 03:04:05 UTC 2023", "Mon, 02 Jan 2023 03:04:05 GMT", "Mon, 02 Jan 2023 05:04:05 +0200"} {
		if a := noticeOf(t, "", `<issued date="`+in+`"/>`); !a.Issued.Equal(time.Date(2023, 1, 2, 3, 4, 5, 0, time.UTC)) {
			t.Errorf("date %q is %v", in, a.Issued)
		}
	}
}

// TestEpochNone: a program's word for no epoch says no epoch, which the repository may know.
func TestEpochNone(t *testing.T) {
	for _, word := range []string{"", "(none)", "None", "null"} {
		notice := `<updates><update><id>A</id><pkglist><collection><package name="foo" epoch="` + word + `" version="1.2" release="3.el9" arch="x86_64"/></collection></pkglist></update></updates>`
		dir := madeRepo(t, metaFile{kind: "primary", content: primaryXML(packageXML("foo"))}, metaFile{kind: "updateinfo", content: notice})
		list, err := open(t, dir, Options{}).Advisories()
		want := rpm.NEVRA{Name: "foo", EVR: rpm.EVR{Epoch: 1, Version: "1.2", Release: "3.el9"}, Arch: "x86_64"}
		if err != nil || len(list) != 1 || len(list[0].Packages) != 1 || list[0].Packages[0].NEVRA != want {
			t.Errorf("%q: %v %v", word, list, err)
		}
	}
}
