package host

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"cpacman/internal/rpm"
)

// HeaderOptions of Headers.
type HeaderOptions struct {
	Host   string
	Sudo   bool
	Random io.Reader
}

const (
	headersPerCall = 150      // packages; their headers have some 100 KB each at most, kernels 2 MB
	labelBytes     = 20 << 10 // bytes of labels in one command line
)

// Headers reads the immutable headers of installed packages from one host (FACT-3). Only a header whose digest is that of the
// listing is returned, under that digest: a host cannot lie for others. A host that sends another one is named in the error,
// together with what was good. Packages without a digest or that are gone meanwhile are left out. ErrHeaderFormat: this rpm
// cannot do it.
func Headers(ctx context.Context, c Conn, pkgs []Package, opt HeaderOptions) (map[string][]byte, error) {
	out := map[string][]byte{}
	want := map[string]bool{}
	var labels []string
	for _, p := range pkgs {
		if p.Header != "" && !want[p.Header] {
			want[p.Header] = true
			// rpm before 4.17 reads a ^ as the beginning of a line; see ask in scripts/steps.sh
			labels = append(labels, strings.ReplaceAll(label(p.NEVRA()), "^", `\^`))
		}
	}
	var lies []error
	for len(labels) > 0 {
		n := batch(labels)
		a, err := do(ctx, c, call{op: "read headers", program: program("headers"), args: labels[:n], sudo: opt.Sudo, random: opt.Random, limit: maxBlobs})
		var re *RemoteError
		if errors.As(err, &re) && re.Code == "headers" {
			return out, fmt.Errorf("host %s: read headers: %w", opt.Host, ErrHeaderFormat)
		}
		if err != nil {
			return out, fmt.Errorf("host %s: %w", opt.Host, err)
		}
		lies = append(lies, readHeaders(a, want, out)...)
		labels = labels[n:]
	}
	if len(lies) > 0 {
		return out, fmt.Errorf("host %s: %w", opt.Host, errors.Join(lies...))
	}
	return out, nil
}

// batch returns how many labels go into one call.
func batch(labels []string) int {
	n, size := 0, 0
	for n < len(labels) && n < headersPerCall {
		if size += len(labels[n]) + 3; size > labelBytes && n > 0 {
			break
		}
		n++
	}
	return n
}

// readHeaders reads blocks of "h DIGEST", base64 lines, "e"; the base64 lines have no mark, and nothing in base64 can look
// like one. A host without base64 prints other text, which is ErrHeaderFormat.
func readHeaders(a *answer, want map[string]bool, out map[string][]byte) (lies []error) {
	head := "@" + a.mark + " "
	digest := ""
	var b64 strings.Builder
	for line := range strings.Lines(string(a.stdout)) {
		line = strings.TrimSuffix(line, "\n")
		rest, marked := strings.CutPrefix(line, head)
		switch {
		case marked && strings.HasPrefix(rest, "h "):
			digest = rest[2:]
			b64.Reset()
		case marked && rest == "e":
			if err := takeHeader(digest, b64.String(), want, out); err != nil && len(lies) < 20 {
				lies = append(lies, err)
			}
			digest = ""
		case !marked && digest != "":
			b64.WriteString(line)
		}
	}
	return lies
}

func takeHeader(digest, text string, want map[string]bool, out map[string][]byte) error {
	if !want[digest] { // another build of the same label: not asked for
		return nil
	}
	blob, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("header %s: %w: %w", digest, ErrHeaderFormat, err)
	}
	if _, err := rpm.CheckHeader(blob, digest); err != nil {
		return fmt.Errorf("header %s: %w", digest, err)
	}
	out[digest] = blob
	return nil
}
