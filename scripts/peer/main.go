// Command peer answers for the planner in the peer harness: it reads questions as lines of JSON, one object each, and writes one
// line of JSON for each. It does nothing that the planner does not do in production: repositories come through internal/repo, the
// installed packages are the headers of a real rpm database.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// maxLine bounds one question, in bytes; the largest, a set of 3,000 packages to check, has about 300 KB.
const maxLine = 16 << 20

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

// serve answers until the input ends. A question that fails is answered with its error; only broken pipes and lines that are no
// JSON end the work.
func serve(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<20), maxLine)
	enc := json.NewEncoder(out)
	var s session
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return fmt.Errorf("question %.80q: %w", lines.Text(), err)
		}
		a, err := s.answer(&q)
		if err != nil {
			a = &answer{Error: err.Error()}
		}
		if err := enc.Encode(a); err != nil {
			return fmt.Errorf("write the answer: %w", err)
		}
	}
	return lines.Err()
}
