package rpm

import "testing"

func TestRunsAs(t *testing.T) {
	for _, c := range []struct {
		build, uname string
		want         bool
	}{
		{"kernel-core-5.14.0-427.13.1.el9_4.x86_64", "5.14.0-427.13.1.el9_4.x86_64", true},
		{"kernel-core-5.14.0-427.13.1.el9_4.x86_64", "5.14.0-427.13.1.el9_4.x86_64+debug", true},
		{"kernel-rt-core-4.18.0-553.rt7.342.el8_10.x86_64", "4.18.0-553.rt7.342.el8_10.x86_64", true},
		{"kernel-core-5.14.0-427.13.1.el9_4.x86_64", "5.14.0-427.16.1.el9_4.x86_64", false},
		{"kernel-5.14.0-4.el9.x86_64", "5.14.0-4.el9.x86_64x", false},
		{"kernel-2.6.32-754.el6.x86_64", "2.6.32-754.el6.x86_64", true},
		{"kernel-2.6.18-398.el5.x86_64", "2.6.18-398.el5", true},
		{"kernel-PAE-2.6.18-398.el5.i686", "2.6.18-398.el5PAE", true},
		{"kernel-2.6.18-398.el5.x86_64", "2.6.18-398.1.el5", false},
		{"linux-6.1.10-11.ph5.x86_64", "6.1.10-11.ph5", true},
		{"kernel-default-5.14.21-150500.55.7.1.x86_64", "5.14.21-150500.55.7-default", true},
		{"kernel-default-5.14.21-150500.55.7.1.x86_64", "5.14.21-150500.55.22-default", false},
		{"kernel-default-5.14.21-150500.55.72.1.x86_64", "5.14.21-150500.55.7-default", false},
		{"kernel-default-6.4.0-150600.21.3.x86_64", "6.4.0-150600.21-default", true},
		{"kernel-default-6.9.1-1.1.x86_64", "6.9.1-1-default", true},
		{"kernel-default-4.4.21-69.1.x86_64", "4.4.21-69-default", true},
		{"kernel-default-3.0.101-63.1.x86_64", "3.0.101-63-default", true},
		{"kernel-default-6.9.10-1.1.x86_64", "6.9.1-1-default", false},
		{"kernel-core-1-1.x86_64", "", false},
		{"kernel-core-1-1.x86_64", "-", false},
		{"kernel-core-1-1.x86_64", "1-default", false},
	} {
		n, err := ParseNEVRA(c.build)
		if err != nil {
			t.Fatal(err)
		}
		if got := RunsAs(n, c.uname); got != c.want {
			t.Errorf("%s as %q: %v", c.build, c.uname, got)
		}
	}
}
