package rpm

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// wellKnown are cases that every implementation of rpm's order has to get right, smaller side first or both equal.
var wellKnown = []struct {
	a, b string
	want int
}{
	{"1.0", "1.0", 0}, {"1.0", "2.0", -1}, {"2.0", "2.0.1", -1}, {"2.0.1", "2.0.1a", -1}, {"5.5p1", "5.5p2", -1},
	{"5.5p1", "5.5p10", -1}, {"10xyz", "10.1xyz", -1}, {"xyz10", "xyz10.1", -1}, {"xyz.4", "8", -1}, {"xyz.4", "2", -1},
	{"5.6p1", "6.5p1", -1}, {"6.0", "6.0.rc1", -1}, {"10a2", "10b2", -1}, {"10a1", "10b2", -1}, {"1.0a", "1.0aa", -1},
	{"10.0001", "10.1", 0}, {"10.0001", "10.0039", -1}, {"4.999.9", "5.0", -1}, {"20101121", "20101122", -1},
	{"2_0", "2.0", 0}, {"a+", "a_", 0}, {"+a", "_a", 0}, {"_+", "+_", 0}, {"+", "_", 0}, {"", "+", 0}, {"", "0", -1},
	{"1.0~rc1", "1.0", -1}, {"1.0~rc1", "1.0~rc2", -1}, {"1.0~rc1~git123", "1.0~rc1", -1}, {"~", "", -1},
	{"1.0", "1.0^", -1}, {"1.0", "1.0^git1", -1}, {"1.0^git1", "1.0^git2", -1}, {"1.0^git1", "1.01", -1},
	{"1.0^20160101", "1.0.1", -1}, {"1.0^20160101^git1", "1.0^20160102", -1}, {"1.0~rc1", "1.0~rc1^git1", -1},
	{"1.0^git1~pre", "1.0^git1", -1}, {"1.0~1", "1.0^1", -1}, {"~_rc1", "~_rc10", -1},
	{"1b.fc17", "1.fc17", -1}, {"1.fc17", "1g.fc17", -1},
	{"1.1.α", "1.1.β", 0}, {"1.1.αα", "1.1.α", 0}, {"1.1.α", "1.1", 0},
	{"00000000000000000000000000000000001", "1", 0}, {"99999999999999999999999", "100000000000000000000000", -1},
	{"1-2", "1.2", 0}, {"a:1", "a.1", 0},
}

func TestCompareSegmentWellKnown(t *testing.T) {
	for _, c := range wellKnown {
		if got := compareSegment(c.a, c.b); got != c.want {
			t.Errorf("compare %q %q: %d, want %d", c.a, c.b, got, c.want)
		}
		if got := compareSegment(c.b, c.a); got != -c.want {
			t.Errorf("compare %q %q: %d, want %d", c.b, c.a, got, -c.want)
		}
	}
}

func TestCompareEVR(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"1.0-1", "0:1.0-1", 0}, {":1.0-1", "1.0-1", 0}, {"(none):1.0-1", "1.0-1", 0}, {"9-9", "1:1-1", -1},
		{"1", "1-1", -1}, {"1", "1-~rc1", -1}, {"1", "1-+", -1}, {"1.0-1", "1.0-2", -1}, {"2-1", "10-1", -1},
		{"4294967294:1", "4294967295:1", -1},
	} {
		a, err := ParseEVR(c.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ParseEVR(c.b)
		if err != nil {
			t.Fatal(err)
		}
		if got, back := Compare(a, b), Compare(b, a); got != c.want || back != -c.want {
			t.Errorf("compare %s %s: %d and %d, want %d", c.a, c.b, got, back, c.want)
		}
	}
}

// segments draws text that looks like versions, with all that has a meaning and some that has none.
func segments() *rapid.Generator[string] {
	piece := rapid.OneOf(rapid.SampledFrom([]string{".", "_", "+", "~", "^", "-", ":", "a", "b", "rc", "0", "00", "1", "01", "10", "9", "α", " ", "%"}),
		rapid.StringMatching(`[0-9]{1,4}`), rapid.StringMatching(`[a-zA-Z]{1,3}`))
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(piece, 0, 7).Draw(t, "pieces"), "")
	})
}

func TestPlainIsLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := strings.NewReplacer("~", "", "^", "")
		a, b := r.Replace(segments().Draw(t, "a")), r.Replace(segments().Draw(t, "b"))
		if got, want := comparePlain(a, b), compareLibrary(a, b); got != want {
			t.Fatalf("%q %q: %d, library %d", a, b, got, want)
		}
	})
}

func evrs() *rapid.Generator[EVR] {
	return rapid.Custom(func(t *rapid.T) EVR {
		return EVR{Epoch: rapid.Uint32Range(0, 2).Draw(t, "epoch"), Version: segments().Draw(t, "version"), Release: segments().Draw(t, "release")}
	})
}

func TestCompareIsAnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := evrs().Draw(t, "a"), evrs().Draw(t, "b"), evrs().Draw(t, "c")
		if Compare(a, b) != -Compare(b, a) {
			t.Fatalf("not antisymmetric: %v %v", a, b)
		}
		if Compare(a, a) != 0 {
			t.Fatalf("not reflexive: %v", a)
		}
		list := []EVR{a, b, c}
		slices.SortFunc(list, Compare)
		if Compare(list[0], list[2]) > 0 {
			t.Fatalf("not transitive: %v", list)
		}
	})
}

func TestRankEVRs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(evrs(), 0, 12).Draw(t, "evrs")
		ranks := RankEVRs(list)
		for i := range list {
			for j := range list {
				if got, want := sign(int(ranks[i]-ranks[j])), Compare(list[i], list[j]); got != want {
					t.Fatalf("%v %v: ranks say %d, Compare %d", list[i], list[j], got, want)
				}
			}
		}
		if n := len(slices.Compact(slices.Sorted(slices.Values(ranks)))); n > 0 && int(slices.Max(ranks)) != n-1 {
			t.Fatalf("ranks have gaps: %v", ranks)
		}
	})
}

func TestParseEVRKeepsItsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := segments().Draw(t, "text")
		e, err := ParseEVR(text)
		if err != nil {
			return
		}
		again, err := ParseEVR(e.String())
		if err != nil || again != e {
			t.Fatalf("%q: %#v printed as %q reads %#v, %v", text, e, e, again, err)
		}
		loose := parseLooseEVR(text)
		if parseLooseEVR(loose.String()) != loose {
			t.Fatalf("%q: loose %#v printed as %q reads %#v", text, loose, loose, parseLooseEVR(loose.String()))
		}
	})
}

func TestParseEVRRefuses(t *testing.T) {
	for _, s := range []string{"", ":", "1:", "1.0-", "-1", "-1:1.0", "x:1.0", "4294967296:1", "1 0", "1.0\n", "1.0-1\x1b[2J", "1/2", "1:2:3"} {
		if e, err := ParseEVR(s); err == nil {
			t.Errorf("%q reads as %#v", s, e)
		}
	}
}

// notAVersion is what askRPM answers for text that rpm does not take.
const notAVersion = 9

// askRPM compares every pair with the rpm on this machine, all in one process.
func askRPM(t *testing.T, pairs [][2]string) []int {
	t.Helper()
	if _, err := exec.LookPath("rpm"); err != nil {
		t.Skip("needs rpm: ", err)
	}
	file := filepath.Join(t.TempDir(), "pairs")
	var in bytes.Buffer
	for _, p := range pairs {
		fmt.Fprintf(&in, "%s\t%s\n", p[0], p[1])
	}
	if err := os.WriteFile(file, in.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	script := `for l in io.lines("` + file + `") do local a,b = l:match("^([^\t]*)\t(.*)$"); local ok,c = pcall(rpm.vercmp,a,b); io.write(ok and c or 9, "\n") end`
	out, err := exec.Command("rpm", "--eval", "%{lua: "+script+"}").CombinedOutput()
	if err != nil {
		t.Fatalf("rpm: %v: %.300s", err, out)
	}
	var got []int
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		if s.Text() == "" {
			continue // the value of the expression itself
		}
		n, err := strconv.Atoi(s.Text())
		if err != nil {
			t.Fatalf("rpm says %q", s.Text())
		}
		got = append(got, n)
	}
	if len(got) != len(pairs) {
		t.Fatalf("rpm answered %d of %d", len(got), len(pairs))
	}
	return got
}

// TestCompareAgainstRPM asks rpm about random versions and whole EVRs.
func TestCompareAgainstRPM(t *testing.T) {
	const n = 60000
	r := rand.New(rand.NewSource(1))
	piece := func() string {
		s := ""
		for range 1 + r.Intn(6) {
			s += []string{".", ".", "_", "+", "~", "^", "a", "rc", "Z", "0", "1", "007", "10", "9", "2024", "el8", "α"}[r.Intn(17)]
		}
		return s
	}
	pairs := make([][2]string, 0, n+len(wellKnown))
	mutate := func(s string) string {
		if r.Intn(3) > 0 {
			i := r.Intn(len(s))
			return strings.ToValidUTF8(s[:i], "") + piece()[:1] + strings.ToValidUTF8(s[i:], "")
		}
		return piece()
	}
	for range n {
		a := piece()
		b := strings.ToValidUTF8(mutate(a), "")
		if r.Intn(2) == 0 { // whole EVRs
			a, b = a+"-"+piece(), b+"-"+piece()
			if r.Intn(4) == 0 {
				a = fmt.Sprintf("%d:%s", r.Intn(3), a)
			}
			if r.Intn(8) == 0 {
				b, _, _ = strings.Cut(b, "-")
			}
		}
		pairs = append(pairs, [2]string{a, b})
	}
	wrong := 0
	for i, want := range askRPM(t, pairs) {
		a, b := parseLooseEVR(pairs[i][0]), parseLooseEVR(pairs[i][1])
		if want == notAVersion {
			continue
		}
		if got := Compare(a, b); got != want {
			if wrong++; wrong < 10 {
				t.Errorf("%q %q: %d, rpm %d", pairs[i][0], pairs[i][1], got, want)
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d differ", wrong, len(pairs))
	}
}

func FuzzCompare(f *testing.F) {
	for _, c := range wellKnown {
		f.Add(c.a, c.b)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if got := compareSegment(a, b); got != compareLibrary(a, b) || got != -compareSegment(b, a) {
			t.Fatalf("%q %q: %d, library %d, turned %d", a, b, got, compareLibrary(a, b), compareSegment(b, a))
		}
	})
}

func BenchmarkCompare(b *testing.B) {
	for name, p := range map[string][2]string{"plain": {"2.17", "2.28"}, "tilde": {"2.17~rc1", "2.17~rc2"}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				compareSegment(p[0], p[1])
			}
		})
	}
}
