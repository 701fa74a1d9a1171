package trail

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// chain makes a good trail of n lines; every third refers to a list.
func chain(t testing.TB, n int) ([]Line, map[string][]byte) {
	t.Helper()
	lists := map[string][]byte{}
	head := Head{0, Start}
	var out []Line
	for i := range n {
		body, err := Body(map[string]any{"n": i, "text": "a \x1b[31m\u202e <&> \u2028 \U000e0041"})
		if err != nil {
			t.Fatal(err)
		}
		l := Line{At: Stamp(time.Unix(int64(i), 5)), Actor: "op", Action: "host.state", Rollout: "r1", Subject: fmt.Sprintf("web%d", i), Body: body}
		if i%3 == 0 {
			list, err := Body(Changes{Added: []string{fmt.Sprintf("p-%d h", i%6)}, Removed: []string{}})
			if err != nil {
				t.Fatal(err)
			}
			l.Changes = DigestOf(list)
			lists[l.Changes] = list
		}
		l.Seal(head)
		head = l.Head()
		out = append(out, l)
	}
	return out, lists
}

// check runs a checker over lines.
func check(lines []Line, heads ...Head) *Fault {
	var c Checker
	for _, h := range heads {
		c.Expect(h)
	}
	for _, l := range lines {
		if c.Add(l) != nil {
			break
		}
	}
	var f *Fault
	errors.As(c.End(), &f)
	return f
}

func file(t testing.TB, lines []Line, lists map[string][]byte, stub func(Line) bool) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, l := range lines {
		var err error
		if stub != nil && stub(l) {
			err = w.Stub(l)
		} else {
			err = w.Line(l, func(d string) ([]byte, error) {
				if lists[d] == nil {
					return nil, fs.ErrNotExist
				}
				return lists[d], nil
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestGoodTrail(t *testing.T) {
	lines, lists := chain(t, 20)
	if f := check(lines, Head{0, Start}, lines[4].Head(), lines[19].Head()); f != nil {
		t.Fatalf("a good trail: %v", f)
	}
	if f := check(nil); f != nil {
		t.Fatalf("an empty trail: %v", f)
	}
	text := file(t, lines, lists, nil)
	got, err := Check(bytes.NewReader(text), lines[7].Head())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Result{Lines: 20, First: 1, Head: lines[19].Head()}, got); d != "" {
		t.Error(d)
	}
	for _, r := range string(text) {
		if r != '\n' && (r < 0x20 || hidden(r)) {
			t.Fatalf("the file has the character %U, which a terminal obeys", r)
		}
	}
	var back Line
	if err := json.Unmarshal([]byte(strings.Split(string(text), "\n")[1]), &back); err != nil || !strings.Contains(string(back.Body), `\u202e`) {
		t.Errorf("body %s, %v", back.Body, err)
	}
	var v struct{ Text string }
	if err := json.Unmarshal(back.Body, &v); err != nil || v.Text != "a \x1b[31m\u202e <&> \u2028 \U000e0041" {
		t.Errorf("the text came back as %q, %v", v.Text, err)
	}
}

// TestWhatIsNamed holds what a fault is called, and which line is named.
func TestWhatIsNamed(t *testing.T) {
	reseal := func(l *Line, head Head) { l.Seal(head) }
	for _, c := range []struct {
		name string
		do   func([]Line) []Line
		want string // "seq kind"
		head int    // a line that was written down, 0: none
	}{
		{"a word changed", func(l []Line) []Line { l[4].Subject = "web9"; return l }, "5 changed", 0},
		{"a body changed", func(l []Line) []Line { l[0].Body = json.RawMessage(`{}`); return l }, "1 changed", 0},
		{"a digest changed", func(l []Line) []Line { l[4].Digest = Start; return l }, "5 changed", 0},
		{"a reference changed", func(l []Line) []Line { l[4].Prev = Start; return l }, "5 changed", 0},
		{"changed and sealed anew", func(l []Line) []Line { l[4].Actor = "x"; reseal(&l[4], l[3].Head()); return l }, "5 changed", 0},
		{"the last but one sealed anew", func(l []Line) []Line { l[8].Actor = "x"; reseal(&l[8], l[7].Head()); return l }, "9 changed", 0},
		{"the last sealed anew, written down", func(l []Line) []Line { l[9].Actor = "x"; reseal(&l[9], l[8].Head()); return l }, "10 rewritten", 10},
		{"all from one line sealed anew", func(l []Line) []Line {
			l[4].Actor = "x"
			for i := 4; i < len(l); i++ {
				reseal(&l[i], l[i-1].Head())
			}
			return l
		}, "8 rewritten", 8},
		{"the first sealed behind something", func(l []Line) []Line {
			reseal(&l[0], Head{0, strings.Repeat("1", 64)})
			return l
		}, "1 changed", 0},
		{"removed", func(l []Line) []Line { return slices.Delete(l, 4, 5) }, "5 missing", 0},
		{"the first removed", func(l []Line) []Line { return l[1:] }, "1 missing", 0},
		{"several removed", func(l []Line) []Line { return slices.Delete(l, 2, 7) }, "3 missing", 0},
		{"the end removed, written down", func(l []Line) []Line { return l[:6] }, "7 missing", 10},
		{"removed and renumbered", func(l []Line) []Line {
			l = slices.Delete(l, 4, 5)
			for i := range l {
				l[i].Seq = int64(i + 1)
			}
			return l
		}, "5 missing", 0},
		{"inserted and renumbered", func(l []Line) []Line {
			forged := l[4]
			forged.Actor = "x"
			reseal(&forged, l[3].Head())
			l = slices.Insert(l, 4, forged)
			for i := range l {
				l[i].Seq = int64(i + 1)
			}
			return l
		}, "5 inserted", 0},
		{"one line twice", func(l []Line) []Line { return slices.Insert(l, 5, l[4]) }, "5 inserted", 0},
		{"two lines swapped", func(l []Line) []Line { l[4], l[5] = l[5], l[4]; return l }, "5 missing", 0},
		{"a foreign line in its place", func(l []Line) []Line {
			reseal(&l[4], Head{4, strings.Repeat("1", 64)})
			return l
		}, "5 inserted", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines, _ := chain(t, 10)
			var heads []Head
			if c.head > 0 {
				heads = append(heads, lines[c.head-1].Head())
			}
			f := check(c.do(lines), heads...)
			if f == nil {
				t.Fatal("not found")
			}
			if got := fmt.Sprintf("%d %s", f.Seq, f.Kind); got != c.want {
				t.Errorf("got %s (%s), want %s", got, f.Text, c.want)
			}
		})
	}
}

// TestAnyDamageIsFound: whatever is done to a trail that somebody wrote the head of down, the check fails; and the line named is
// not behind the first that was touched.
func TestAnyDamageIsFound(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(2, 12).Draw(r, "lines")
		lines, _ := chain(t, n)
		head := lines[n-1].Head()
		i := rapid.IntRange(0, n-1).Draw(r, "where")
		first := int64(i + 1)
		switch what := rapid.SampledFrom([]string{"change", "remove", "insert", "swap", "forge", "cut"}).Draw(r, "what"); what {
		case "change":
			f := []*string{&lines[i].At, &lines[i].Actor, &lines[i].Action, &lines[i].Rollout, &lines[i].Subject, &lines[i].Changes, &lines[i].Prev, &lines[i].Digest}
			p := rapid.SampledFrom(f).Draw(r, "field")
			*p += "x"
		case "remove":
			lines = slices.Delete(lines, i, i+1)
		case "insert":
			j := rapid.IntRange(0, n-1).Draw(r, "which")
			lines = slices.Insert(lines, i, lines[j])
			if j == i {
				first++
			}
		case "swap":
			j := rapid.IntRange(0, n-1).Draw(r, "with")
			if i == j {
				return
			}
			lines[i], lines[j] = lines[j], lines[i]
			first = int64(min(i, j) + 1)
		case "forge": // a line changed, and the chain made anew from there
			lines[i].Actor += "x"
			for j := i; j < n; j++ {
				lines[j].Seal(Head{lines[j].Seq - 1, lines[j].Prev})
				if j+1 < n {
					lines[j+1].Prev = lines[j].Digest
				}
			}
			first = int64(n) // the chain alone cannot tell where
		case "cut":
			lines = lines[:i]
		}
		f := check(lines, head)
		if f == nil {
			r.Fatal("not found")
		}
		if f.Seq > first {
			r.Fatalf("line %d is named (%v), line %d was the first touched", f.Seq, f, first)
		}
	})
}

// TestNoByteOfAFileMayChange flips, drops and adds bytes of an exported trail.
func TestNoByteOfAFileMayChange(t *testing.T) {
	lines, lists := chain(t, 5)
	text := file(t, lines, lists, func(l Line) bool { return l.Seq == 2 })
	head := lines[4].Head()
	broken := func(b []byte) bool {
		res, err := Check(bytes.NewReader(b), head)
		return err != nil || res.Fault != nil
	}
	if broken(text) {
		t.Fatal("the good file is found broken")
	}
	for i := range text {
		for _, x := range []byte{text[i] ^ 1, text[i] ^ 0x20, ' ', '"', '\n'} {
			if b := bytes.Clone(text); x != b[i] {
				b[i] = x
				if !broken(b) {
					t.Fatalf("byte %d from %q to %q is not found", i, text[i], x)
				}
			}
		}
		if !broken(slices.Delete(bytes.Clone(text), i, i+1)) {
			t.Fatalf("byte %d removed is not found", i)
		}
		if !broken(slices.Insert(bytes.Clone(text), i, ' ')) {
			t.Fatalf("a blank at %d is not found", i)
		}
	}
	// A list without a line that refers to it, and a line whose list is not there.
	all := bytes.SplitAfter(text, []byte("\n"))
	if !broken(bytes.Join(all[1:], nil)) {
		t.Error("a list that is not there is not found")
	}
}

// TestPartOfATrail: lines of one rollout with the places of the others can be checked, and cannot be lifted into another chain.
func TestPartOfATrail(t *testing.T) {
	lines, lists := chain(t, 12)
	part := file(t, lines[3:10], lists, func(l Line) bool { return l.Seq%2 == 0 })
	if strings.Contains(string(part), `"web5"`) || !strings.Contains(string(part), `"web4"`) {
		t.Fatalf("what is left out stands there:\n%s", part)
	}
	for _, c := range []struct {
		name string
		head Head
		want Kind
	}{
		{"its last", lines[9].Head(), ""},
		{"one in the middle, left out", lines[5].Head(), ""},
		{"one before", lines[0].Head(), Unproven},
		{"one after", lines[11].Head(), Missing},
		{"another digest", Head{5, lines[6].Digest}, Rewritten},
	} {
		res, err := Check(bytes.NewReader(part), c.head)
		if err != nil {
			t.Fatal(err)
		}
		got := Kind("")
		if res.Fault != nil {
			got = res.Fault.Kind
		}
		if got != c.want || res.First != 4 {
			t.Errorf("%s: %q, first %d, want %q", c.name, got, res.First, c.want)
		}
	}
}

func TestHeads(t *testing.T) {
	good := strings.Repeat("ab", 32)
	for _, s := range []string{good + "@1", " " + good + "@42\n", Start + "@0"} {
		h, err := ParseHead(s)
		if err != nil || h.String() != strings.TrimSpace(s) {
			t.Errorf("%q: %v, %v", s, h, err)
		}
	}
	for _, s := range []string{"", "@", good, good + "@", good + "@-1", good + "@+1", good + "@01", good + "@0", "1@" + good, strings.ToUpper(good) + "@1", good + "@9999999999999999999"} {
		if h, err := ParseHead(s); err == nil {
			t.Errorf("%q was read as %v", s, h)
		}
	}
}

// TestContentHasOneEncoding: moving a character from one field to the next is another line.
func TestContentHasOneEncoding(t *testing.T) {
	a, b := Line{Seq: 1, Actor: "ab", Action: "c"}, Line{Seq: 1, Actor: "a", Action: "bc"}
	if a.Content() == b.Content() {
		t.Error("two lines, one digest")
	}
	// The encoding is a contract: whoever checks a trail with another program computes this.
	l := Line{At: "2026-03-01T02:03:04.000000005Z", Actor: "op", Action: "approval", Rollout: "r", Subject: "class p", Body: json.RawMessage(`{}`)}
	l.Seal(Head{0, Start})
	const want = "350821248214c998f2cc92e4b67d8ac85a50710909fac4092e0b7e635c70ffb8"
	if l.Digest != want {
		t.Errorf("digest %s, want %s", l.Digest, want)
	}
}

func FuzzCheck(f *testing.F) {
	lines, lists := chain(f, 4)
	f.Add(file(f, lines, lists, nil))
	f.Add(file(f, lines, lists, func(l Line) bool { return l.Seq > 1 }))
	f.Add([]byte("{}\n"))
	f.Add([]byte(`{"seq":-5,"content":"x"}` + "\n"))
	head := lines[3].Head()
	f.Fuzz(func(t *testing.T, text []byte) {
		res, err := Check(bytes.NewReader(text), head)
		if err == nil && res.Fault == nil && res.Head.Seq < head.Seq {
			t.Errorf("a file without line %d is said to hold it", head.Seq)
		}
	})
}
