package host

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
)

// packed is text as gzip makes it.
func packed(t testing.TB, text io.Reader) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.Copy(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

type nothing struct{}

func (nothing) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestUnpack(t *testing.T) {
	const head = "@00 packed\n"
	whole := packed(t, strings.NewReader("@00 uid 0\n@00 end\n"))
	for name, c := range map[string]struct{ in, want, err string }{
		"plain":                 {in: "@00 end\n", want: "@00 end\n"},
		"packed":                {in: head + whole, want: "@00 uid 0\n@00 end\n"},
		"noise around":          {in: "Welcome!\n" + head + whole + "bye\n", want: "@00 uid 0\n@00 end\n"},
		"another's mark":        {in: "@01 packed\n" + whole, want: "@01 packed\n" + whole},
		"nothing after it":      {in: head, err: "does not begin"},
		"no gzip":               {in: head + "@00 end\n", err: "does not begin"},
		"cut":                   {in: head + whole[:len(whole)-9], err: "does not end"},
		"a byte changed":        {in: head + whole[:len(whole)-8] + "x" + whole[len(whole)-7:], err: "does not end"},
		"more than can be read": {in: head + packed(t, io.LimitReader(nothing{}, maxAnswer+1)), err: "has more than"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := unpack("00", []byte(c.in), maxAnswer)
			switch {
			case c.err == "" && (err != nil || string(got) != c.want):
				t.Errorf("got %.100q, %v", got, err)
			case c.err != "" && (!errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), c.err)):
				t.Errorf("got %.100q, %v; want an error with %q", got, err, c.err)
			}
		})
	}
}
