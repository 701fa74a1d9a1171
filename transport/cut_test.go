package transport

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cpacman/transport/sshtest"
)

// TestCutAnywhere cuts connections at arbitrary moments. Whatever a call was doing then, its error is that of a lost connection:
// a caller with a transaction on the host asks again after that, and after no other kind.
func TestCutAnywhere(t *testing.T) {
	e := inProcess(t, sshtest.Config{})
	d := newDialer(t, Options{})
	dir := t.TempDir()
	local := writeLocal(t, mib, 1)
	for round := range 60 {
		c := dial(t, d, e.target)
		var wg sync.WaitGroup
		work := func(what string, call func(n int) error) {
			wg.Go(func() {
				for n := 0; ; n++ {
					if err := call(n); err != nil {
						if KindOf(err) != KindUnreachable {
							t.Errorf("round %d, %s: kind %s: %v", round, what, KindOf(err), err)
						}
						return
					}
				}
			})
		}
		for range 3 {
			work("run", func(int) error {
				_, err := c.Run(testContext(t), Command{Argv: []string{"true"}})
				return err
			})
		}
		work("upload", func(n int) error {
			_, err := c.Upload(testContext(t), []Upload{{Path: filepath.Join(dir, fmt.Sprint(round, "-", n)), Size: mib, Local: local}})
			return err
		})
		time.Sleep(time.Duration(round) * time.Millisecond / 2)
		e.server.CutAll()
		wg.Wait()
		c.Close()
	}
}
