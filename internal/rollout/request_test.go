package rollout

import (
	"strings"
	"testing"
	"time"
)

var testRequest = NewRequest("20261121-003249-048bfcf2", strings.Repeat("ab", 32), "level prod/broad",
	time.Date(2026, 11, 21, 1, 32, 49, 7, time.FixedZone("", 3600)), [32]byte{1, 2, 3})

func TestRequestText(t *testing.T) {
	want := "cpacman approval request, version 1\nrollout: 20261121-003249-048bfcf2\ndigest: " + strings.Repeat("ab", 32) +
		"\nscope: level prod/broad\nexpires: 2026-11-21T00:32:49Z\nnonce: 010203" + strings.Repeat("00", 29) + "\n"
	if got := testRequest.Text(); got != want {
		t.Fatalf("text %q, want %q", got, want)
	}
	if back, err := ParseRequest([]byte(want)); err != nil || back != testRequest {
		t.Errorf("%+v, %v", back, err)
	}
}

// TestRequestIsStrict: no other text means the same.
func TestRequestIsStrict(t *testing.T) {
	text := testRequest.Text()
	for name, bad := range map[string]string{
		"empty": "", "no line end": strings.TrimSuffix(text, "\n"), "two line ends": text + "\n", "CRLF": strings.ReplaceAll(text, "\n", "\r\n"),
		"blank before": " " + text, "another version": strings.Replace(text, "version 1", "version 2", 1),
		"a line more":    strings.Replace(text, "scope:", "note: all\nscope:", 1),
		"a line less":    strings.Replace(text, "scope: level prod/broad\n", "", 1),
		"no scope":       strings.Replace(text, "level prod/broad", "", 1),
		"another zone":   strings.Replace(text, "00:32:49Z", "01:32:49+01:00", 1),
		"with fractions": strings.Replace(text, ":49Z", ":49.5Z", 1),
		"large nonce":    strings.Replace(text, "010203", "01020304", 1),
		"no nonce":       strings.Replace(text, "nonce: 01", "nonce: xx", 1),
		"large hex":      strings.Replace(text, "nonce: 010203", "nonce: 0102AB", 1) + "x",
		"other order":    strings.Replace(strings.Replace(text, "rollout: ", "digest: ", 1), "digest: ab", "rollout: ab", 1),
		"long":           text + strings.Repeat("x", MaxRequest),
	} {
		if q, err := ParseRequest([]byte(bad)); err == nil {
			t.Errorf("%s: is read as %+v", name, q)
		}
	}
}

// FuzzParseRequest: what is accepted is what would be written.
func FuzzParseRequest(f *testing.F) {
	f.Add(testRequest.Text())
	f.Add("cpacman approval request, version 1\nrollout: \n")
	f.Fuzz(func(t *testing.T, text string) {
		q, err := ParseRequest([]byte(text))
		if err == nil && q.Text() != text {
			t.Errorf("%q is read as %q", text, q.Text())
		}
	})
}
