package trail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Start is the digest before the first line.
const Start = "0000000000000000000000000000000000000000000000000000000000000000"

// Engine is the actor of what no person decided: the engine, a host, a health check. A user's name has no parentheses.
const Engine = "(engine)"

// Line is one line of the trail. All fields but Digest go into Digest.
type Line struct {
	Seq     int64           `json:"seq"` // from 1, without gaps
	At      string          `json:"at"`  // as Stamp writes it
	Actor   string          `json:"actor"`
	Action  string          `json:"action"`
	Rollout string          `json:"rollout"`
	Subject string          `json:"subject"` // host, wave or scope; may be empty
	Body    json.RawMessage `json:"body"`    // as Body writes it; depends on Action
	Changes string          `json:"changes"` // sha256 of a list kept once for all lines that have the same; "" for none
	Prev    string          `json:"prev"`
	Digest  string          `json:"digest"`
}

// Head names a line that had been written: who holds one can tell whether the trail up to it is still what it was.
type Head struct {
	Seq    int64  `json:"seq"`
	Digest string `json:"digest"`
}

// String is the form for people to write down: DIGEST@SEQ.
func (h Head) String() string { return h.Digest + "@" + strconv.FormatInt(h.Seq, 10) }

// ParseHead reads DIGEST@SEQ.
func ParseHead(s string) (Head, error) {
	digest, seq, ok := strings.Cut(strings.TrimSpace(s), "@")
	n, err := strconv.ParseInt(seq, 10, 64)
	if !ok || err != nil || n < 0 || !isDigest(digest) || n == 0 && digest != Start || strconv.FormatInt(n, 10) != seq {
		return Head{}, fmt.Errorf("%q is no head of a trail: want DIGEST@SEQ, 64 hexadecimal digits and a number", clip(s))
	}
	return Head{Seq: n, Digest: digest}, nil
}

func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}

// isDigest tells whether s is a sha256 in lower-case hex.
func isDigest(s string) bool {
	return len(s) == 2*sha256.Size && strings.Trim(s, "0123456789abcdef") == ""
}

// Stamp writes a time as it stands in a line: UTC, nanoseconds, always of the same length.
func Stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000Z") }

// Time reads At; the zero time where it is damaged.
func (l *Line) Time() time.Time {
	t, err := time.Parse(time.RFC3339Nano, l.At)
	if err != nil {
		return time.Time{}
	}
	return t
}

// Head is the head of a trail that ends with this line.
func (l *Line) Head() Head { return Head{l.Seq, l.Digest} }

// The words that keep these digests apart from digests of anything else.
const (
	contentDomain = "cpacman trail line 1"
	chainDomain   = "cpacman trail chain 1"
)

// Content is the sha256, in hex, of what the line says, without its place behind another line. Each field is written as its
// length in bytes, a colon, its bytes and a comma, so that no two different lines have one encoding. A line can be left out of a
// file and its place in the chain still be checked: see Stub.
func (l *Line) Content() string {
	h := sha256.New()
	for _, f := range [...]string{contentDomain, strconv.FormatInt(l.Seq, 10), l.At, l.Actor, l.Action, l.Rollout, l.Subject, string(l.Body), l.Changes} {
		fmt.Fprintf(h, "%d:%s,", len(f), f)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// chained is the digest of a line with that content behind the line with the digest prev.
func chained(prev, content string) string {
	sum := sha256.Sum256([]byte(chainDomain + "\n" + prev + "\n" + content + "\n"))
	return hex.EncodeToString(sum[:])
}

// Seal makes l the line after head: it sets Seq, Prev and Digest.
func (l *Line) Seal(head Head) {
	l.Seq, l.Prev = head.Seq+1, head.Digest
	l.Digest = chained(l.Prev, l.Content())
}

// DigestOf is the sha256 of a text, in hex: what Changes refers to.
func DigestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Body writes a value as the body of a line: compact JSON, in which nothing that a terminal might obey stands as itself.
func Body(v any) (json.RawMessage, error) {
	b, err := encode(v)
	if err != nil {
		return nil, fmt.Errorf("encode the body of a line of the trail: %w", err)
	}
	return b, nil
}

// encode is compact JSON without HTML escapes, safe for a terminal.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return EscapeJSON(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// EscapeJSON writes every character of a JSON text that is no visible one (C1 controls, bidirectional and zero-width characters,
// private use) as \u escapes: the text means the same, and printing it to a terminal is safe (SEC-7). Line ends and tabs between
// values stay.
func EscapeJSON(text []byte) []byte {
	clean := true
	for _, r := range string(text) {
		if hidden(r) {
			clean = false
			break
		}
	}
	if clean {
		return text
	}
	out := make([]byte, 0, len(text)+64)
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case !hidden(r) || r == utf8.RuneError:
			out = append(out, text[:n]...)
		case r > 0xffff:
			a, b := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, a, b)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		text = text[n:]
	}
	return out
}

// hidden reports characters that may act on a terminal instead of being seen.
func hidden(r rune) bool {
	if r < 0x7f {
		return false // JSON escapes those below 0x20 itself
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co)
}
