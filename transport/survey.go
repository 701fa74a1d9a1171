package transport

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// digestFunctions defines d (a whole file; openssl is the faster where coreutils
// was built without it) and b (small blocks; sha256sum starts faster). Both read
// standard input and print hex digits and a space first.
const digestFunctions = `
if command -v sha256sum >/dev/null 2>&1; then b() { sha256sum; }
elif command -v openssl >/dev/null 2>&1; then b() { openssl dgst -sha256 -r; }
elif command -v shasum >/dev/null 2>&1; then b() { shasum -a 256; }
else b() { return 1; }; echo nodigest; fi
if command -v openssl >/dev/null 2>&1; then d() { openssl dgst -sha256 -r || b; }; else d() { b; }; fi
`

// surveyFunctions answers for one file: s NUMBER FINAL PART SIZE BLOCK_MIB DIGEST.
//
//	final N same DIGEST | final N other | final N odd
//	part N none | part N odd | part N SIZE
//	block N DIGEST            for each whole or last block of the part, in order
const surveyFunctions = digestFunctions + `
z() { stat -c %s "$1" 2>/dev/null || wc -c <"$1" | tr -d ' '; }
s() {
  if [ -d "$2" ]; then echo "final $1 odd"
  elif [ ! -L "$2" ] && [ -f "$2" ] && [ "$(z "$2")" = "$4" ]; then
    set -- "$@" "$(d <"$2" | cut -d' ' -f1)"
    echo "final $1 same $7"
    if [ "$6" = "$7" ]; then return; fi
  else echo "final $1 other"
  fi
  if [ -L "$3" ]; then echo "part $1 odd"; return; fi
  if [ ! -e "$3" ]; then echo "part $1 none"; return; fi
  if [ ! -f "$3" ]; then echo "part $1 odd"; return; fi
  n=$(z "$3"); echo "part $1 $n"
  [ "$n" -le "$4" ] || n=$4
  i=0
  while [ $((i * $5 * 1048576)) -lt "$n" ]; do
    echo "block $1 $(dd if="$3" bs=1048576 skip=$((i * $5)) count="$5" 2>/dev/null | b | cut -d' ' -f1)"
    i=$((i + 1))
  done
}
`

// maxSurveyScript bounds one survey command, in bytes; longer lists are split.
const maxSurveyScript = 48 << 10

// survey asks the host what it has of the files. What is there with the right
// digest leaves the list; what an earlier attempt left is compared block by
// block. Nothing is believed because of its size.
func (u *upload) survey(ctx context.Context) error {
	todo := u.items
	for first := 0; first < len(todo) && !u.noExec; {
		var script strings.Builder
		script.WriteString(surveyFunctions)
		next := first
		for ; next < len(todo) && script.Len() < maxSurveyScript; next++ {
			it := todo[next]
			fmt.Fprintf(&script, "s %d %s %s %d %d %s\n", next, Quote(it.Path), Quote(it.part), it.Size, it.block/mib, it.SHA256)
		}
		r, err := u.runHeld(ctx, script.String(), nil)
		switch {
		case errors.Is(err, errNotRun) || errors.Is(err, errNotStarted):
			u.noExec = true
		case err != nil:
			return err
		default:
			if err := u.readSurvey(ctx, todo, string(r.Stdout)); err != nil {
				return err
			}
		}
		first = next
	}
	u.items = u.items[:0:0]
	for _, it := range todo {
		if it != nil {
			u.items = append(u.items, it)
		}
	}
	return nil
}

// readSurvey reads the answer; items that are done become nil. An answer that
// makes no sense is the host's right: everything is then sent.
func (u *upload) readSurvey(ctx context.Context, todo []*item, out string) error {
	blocks := make(map[int][]string)
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) == 1 && f[0] == "nodigest" {
			u.noExec = true
		}
		if len(f) < 3 {
			continue
		}
		n, err := strconv.Atoi(f[1])
		if err != nil || n < 0 || n >= len(todo) || todo[n] == nil {
			continue
		}
		it := todo[n]
		switch {
		case f[0] == "final" && f[2] == "odd":
			return &Error{Host: u.conn.target.Name, Op: "upload " + it.Path, Kind: KindRemoteCommand,
				Err: errors.New("there is a directory of that name")}
		case f[0] == "final" && f[2] == "same" && len(f) == 4 && f[3] == it.SHA256:
			todo[n] = nil
			u.stats.Skipped++
			it.advance(it.Size)
		case f[0] == "part" && f[2] == "odd":
			return &Error{Host: u.conn.target.Name, Op: "upload " + it.Path, Kind: KindRemoteCommand,
				Err: fmt.Errorf("%s is there and no regular file: somebody else writes in this directory; remove it", it.part)}
		case f[0] == "part" && f[2] != "none":
			it.exists = true
		case f[0] == "block" && len(blocks[n]) <= maxBlocks:
			blocks[n] = append(blocks[n], f[2])
		}
	}
	for n, digests := range blocks {
		if it := todo[n]; it != nil {
			if err := it.compareBlocks(ctx, digests); err != nil {
				return err
			}
		}
	}
	return nil
}

// compareBlocks marks the blocks of the part file that equal the local ones.
func (it *item) compareBlocks(ctx context.Context, digests []string) error {
	r, err := it.Open()
	if err != nil {
		return fmt.Errorf("open local file: %w", err)
	}
	defer r.Close()
	it.verified = make([]bool, len(digests))
	for i, want := range digests {
		h := sha256.New()
		n, err := io.Copy(h, &meteredReader{ctx: ctx, r: io.LimitReader(r, it.block)})
		if err != nil {
			return fmt.Errorf("read local file for %s: %w", it.Path, err)
		}
		if n == 0 {
			break
		}
		it.verified[i] = hex.EncodeToString(h.Sum(nil)) == want
	}
	return nil
}
