package host

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// configLines reads lines as a host's answer has them.
func configLines(kind, file, text string) Facts {
	var b strings.Builder
	b.WriteString("@m file " + kind + " " + file + "\n")
	for l := range strings.SplitSeq(text, "\n") {
		b.WriteString("@m line " + l + "\n")
	}
	var f Facts
	readConfig(&f, parseAnswer("m", []byte(b.String())))
	return f
}

// What a host's own root may write to bring the control host down: none of it is read, it costs little, and the host is said not to be readable.
func TestHostileConfiguration(t *testing.T) {
	const toml, zypp = "/etc/dnf/versionlock.toml", "/etc/zypp/locks"
	many := strings.Repeat
	cases := map[string]struct{ kind, file, text string }{
		"arrays in arrays":          {"lock", toml, "a = " + many("[", 3<<20)},
		"arrays over lines":         {"lock", toml, "a = [" + many("\n[", 1<<20)},
		"arrays behind values":      {"lock", toml, "a = [" + many("\n1,[", 1<<19)},
		"tables in tables":          {"lock", toml, "a = " + many("{a=", 1<<20)},
		"keys in keys":              {"lock", toml, "a" + many(".a", 1<<20) + " = 1"},
		"keys in a header":          {"lock", toml, "[a" + many(".a", 1<<20) + "]"},
		"headers in headers":        {"lock", toml, many("[[packages.conditions]]\n", 1000) + "[[packages" + many(".conditions", 1000) + "]]"},
		"many empty arrays":         {"lock", toml, "a = [" + many("[],", 1<<20) + "]"},
		"many keys":                 {"lock", toml, many("[[packages]]\nname = \"a\"\nx = 1\n", 100_000)},
		"many conditions":           {"lock", toml, "[[packages]]\nname = \"a\"\n" + many("[[packages.conditions]]\nkey=\"evr\"\ncomparator=\"=\"\nvalue=\"1\"\n", 100)},
		"a long condition":          {"lock", toml, "[[packages]]\nname = \"a\"\n[[packages.conditions]]\nkey=\"evr\"\ncomparator=\"=\"\nvalue=\"" + many("1", 60_000) + "\""},
		"many regular expressions":  {"lock", zypp, many("match_type: regex\nsolvable_name: x{900}\n\n", 2000)},
		"a costly expression":       {"lock", zypp, "match_type: regex\nsolvable_name: " + many("x{999}", 100)},
		"an expression in itself":   {"lock", zypp, "match_type: regex\nsolvable_name: " + many("(", 400) + "x" + many(")?", 400)},
		"conditions times names":    {"lock", zypp, many("solvable_name: a\n", 1000) + many("version: > 1\n", 1000)},
		"versions times names":      {"lock", zypp, many("solvable_name: a\n", 1900) + "version: > " + many("1", 60_000)},
		"locks that search":         {"lock", zypp, many("match_type: substring\nsolvable_name: a\n\n", 20_000)},
		"globs that search":         {"lock", "/etc/dnf/plugins/versionlock.list", many("*a*\n", 20_000)},
		"excludes that search":      {"main", "/etc/dnf/dnf.conf", "[main]\n" + many("exclude=*a* *b*\n", 10_000)},
		"many vendors":              {"vendors", "/etc/zypp/vendors.d/x", many("vendors=a,b\n", 10_000)},
		"protected names that grow": {"protected", "/etc/dnf/protected.d/x", many(many("*x ", 100)+"\n", 100)},
		"bytes":                     {"main", "/etc/dnf/dnf.conf", "[main]\n" + many("exclude="+many("x", 1000)+"\n", 20_000)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			got := configLines(c.kind, c.file, c.text)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if got.Holds != nil {
				t.Errorf("%d holds, want none that count", len(got.Holds))
			}
			if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 300 || took > 2*time.Second {
				t.Errorf("%d MiB and %s for %d bytes", mib, took, len(c.text))
			}
		})
	}
}

// What a host may well have is read, though it is a lot.
func TestLargeConfiguration(t *testing.T) {
	const toml, zypp, list = "/etc/dnf/versionlock.toml", "/etc/zypp/locks", "/etc/dnf/plugins/versionlock.list"
	many := strings.Repeat
	entry := "\n[[packages]]\nname = \"bash\"\ncomment = \"[ of { \\\" , a lot ] ' # [[[\"\n\n[[packages.conditions]]\nkey = \"evr\"\ncomparator = \"=\"\nvalue = \"0:5.2.15-5.fc39\"\n"
	cases := map[string]struct {
		kind, file, text string
		want             int
	}{
		"entries":            {"lock", toml, "version = \"1.0\"\n" + many(entry, 5000), 5000},
		"an inline entry":    {"lock", toml, "packages = [{name=\"a\",conditions=[{key=\"evr\",comparator=\"<\",value=\"4\"},{key=\"evr\",comparator=\">\",value=\"3\"}]},{name='b'}]", 2},
		"locks of zypper":    {"lock", zypp, many("type: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: kernel-default\n\n", 10_000), 10_000},
		"regular expression": {"lock", zypp, "match_type: regex\nsolvable_name: ^lib(foo|bar)[0-9]{1,3}-devel$\n", 1},
		"versionlocks":       {"lock", list, many("bash-0:4.2.46-33.el7.*\n", 40_000), 40_000},
		"excludes":           {"main", "/etc/dnf/dnf.conf", "[main]\nexclude=" + many("kernel* ", 5000), 5000},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := configLines(c.kind, c.file, c.text); len(got.Holds) != c.want || got.Holds == nil {
				t.Errorf("%d holds, want %d", len(got.Holds), c.want)
			}
		})
	}
}

// FuzzConfig reads configuration files of a host; what is read keeps within its bounds.
func FuzzConfig(f *testing.F) {
	f.Add("lock", "/etc/dnf/versionlock.toml", "version = \"1.0\"\n[[packages]]\nname = \"a\" # b\n[[packages.conditions]]\nkey = \"evr\"\ncomparator = \"<\"\nvalue = \"1\"")
	f.Add("lock", "/etc/dnf/versionlock.toml", "packages = [{name='a',conditions=[{key=\"evr\",comparator=\"=\",value=\"\"\"1\"\"\"}]}]")
	f.Add("lock", "/etc/zypp/locks", "type: package\nmatch_type: regex\nsolvable_name: ^a{1,3}$\nversion: > 1\n\nquery_string: x")
	f.Add("lock", "/etc/dnf/plugins/versionlock.list", "!a-0:1-1.*\n0:b-1-1.x86_64")
	f.Add("main", "/etc/dnf/dnf.conf", "[main]\nexclude=a*\n b,c\nprotected_packages=x")
	f.Add("module", "/etc/dnf/modules.d/a.module", "[a]\nstream=1\nstate=enabled")
	f.Fuzz(func(t *testing.T, kind, file, text string) {
		got := configLines(kind, file, text)
		searches := 0
		for i := range got.Holds {
			h := &got.Holds[i]
			if len(h.When) > maxWhen || len(h.Pattern) > maxField || h.Pattern == "" {
				t.Errorf("%+v", h)
			}
			if h.Match == MatchRegex {
				searches++
			}
		}
		if searches > maxSearches {
			t.Errorf("%d regular expressions", searches)
		}
	})
}
