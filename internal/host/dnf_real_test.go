package host

import (
	"context"
	"os/exec"
	"strings"
	"testing"
)

func needDNF(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("dnf"); err != nil {
		t.Skip("needs dnf: not installed")
	}
}

// dnf as the executor, under each shell: exactly the files of the plan, the kernel beside the old one, the removal as a step, all of it
// in dnf's history; the installed set is judged as with rpm, and the way back is rpm's.
func TestDNF(t *testing.T) {
	needDNF(t)
	for name, shell := range shells {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, pkg{nevra: "app-1-1.noarch"}, pkg{nevra: "old-1-1.noarch"}, pkg{nevra: "mod-1-1.noarch"},
				pkg{nevra: "kernel-1-1.noarch", files: map[string]string{"/opt/k1": "1"}})
			l.host.shell = shell
			l.host.sh("ln -sf " + shell[0] + " /bin/sh")
			// Debian enables a plugin of dnf 5 whose program does not come with it; dnf ends with 1 then, after everything is done.
			l.host.sh("command -v createrepo_c >/dev/null || rm -f /etc/dnf/libdnf5-plugins/local.conf")
			ctx := context.Background()
			tx := Transaction{
				DNF: true,
				Upgrade: []File{
					build(t, l.key, pkg{nevra: "app-1:2-1.noarch", requires: []string{"lib"}}),
					build(t, l.key, pkg{nevra: "new-1-1.noarch", obsoletes: []string{"old"}}),
					build(t, l.key, pkg{nevra: "lib-1~rc1-1.noarch"}),
				},
				InstallOnly: []File{build(t, l.key, pkg{nevra: "kernel-2-1.noarch", requires: []string{"lib"}}), build(t, l.key, pkg{nevra: "mod-2-1.noarch"})},
				Removes:     nevras(t, "app-1-1.noarch", "old-1-1.noarch"),
				Erase:       nevras(t, "kernel-1-1.noarch"),
			}
			tx, pre := l.prepare("r1/h1/1", tx)
			before := l.host.sh("/usr/bin/rpm -qa | sort")
			if p, err := l.s.Preflight(ctx, PreflightOptions{DNF: true}); err != nil || !strings.HasPrefix(p.DNF, "dnf") {
				t.Errorf("preflight: dnf %q, %v", p.DNF, err)
			}
			if res, err := l.s.Test(ctx, tx); err != nil || !res.OK {
				t.Fatalf("test: %+v, %v", res, err)
			}
			if now := l.host.sh("/usr/bin/rpm -qa | sort"); now != before {
				t.Fatalf("the test changed what is installed:\n%s", now)
			}
			if err := l.s.Start(ctx, tx); err != nil {
				t.Fatal(err)
			}
			if st := await(t, l.s, tx.ID, Done); st.Phase != Done || st.RC["u"] != 0 || st.RC["i"] != 0 {
				t.Fatalf("status %+v", st)
			}
			if v, err := l.s.Verify(ctx, tx, pre.Facts, pre.Unmet, false); err != nil || !v.OK {
				t.Fatalf("verify: %+v, %v", v, err)
			}
			if err := l.s.RunErase(ctx, tx); err != nil {
				t.Fatal(err)
			}
			if st := await(t, l.s, tx.ID, Done); st.Phase != Done || st.RC["e"] != 0 {
				t.Fatalf("erase %+v", st)
			}
			if v, err := l.s.Verify(ctx, tx, pre.Facts, pre.Unmet, true); err != nil || !v.OK {
				t.Errorf("verify after erase: %+v, %v", v, err)
			}
			if got := l.host.sh("dnf history list 2>/dev/null"); strings.Count(got, "reposdir") != 3 {
				t.Errorf("dnf's history:\n%s", got)
			}
		})
	}
}

// What rpm allows and the host's dnf does not stops the transaction before anything is changed: here an exclude.
func TestDNFRefuses(t *testing.T) {
	needDNF(t)
	t.Parallel()
	l := newLab(t, pkg{nevra: "app-1-1.noarch"})
	ctx := context.Background()
	l.host.sh("mkdir -p /etc/dnf; printf '[main]\\nexcludepkgs=app\\n' >/etc/dnf/dnf.conf")
	tx, _ := l.prepare("r1/h1/1", Transaction{DNF: true, Upgrade: []File{build(t, l.key, pkg{nevra: "app-2-1.noarch"})}, Removes: nevras(t, "app-1-1.noarch")})
	if res, err := l.s.Test(ctx, tx); err != nil || res.OK || !strings.Contains(strings.Join(res.Problems, "\n"), "dnf: ") {
		t.Errorf("test: %+v, %v", res, err)
	}
	if err := l.s.Start(ctx, tx); err != nil {
		t.Fatal(err)
	}
	if st := await(t, l.s, tx.ID, Refused); st.Phase != Refused || st.Reason != RefusedTest || st.Detail != "dnf" {
		t.Errorf("status %+v", st)
	}
	l.host.sh("/usr/bin/rpm -q app-1-1")

	l.host.sh("rm -f /usr/bin/dnf /bin/dnf /usr/bin/dnf5")
	p, err := l.s.Preflight(ctx, PreflightOptions{DNF: true})
	if err != nil || p.DNF != "" {
		t.Errorf("preflight: dnf %q, %v", p.DNF, err)
	}
	if err := (Transaction{ID: "x", DNF: true, OldPackage: true, Upgrade: tx.Upgrade}).Validate(); err == nil {
		t.Error("dnf is to go back")
	}
}
