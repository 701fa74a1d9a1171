//go:build !unix

package transport

// lockDir does nothing where there is no flock; the rename is still atomic.
func lockDir(string) (unlock func(), err error) { return func() {}, nil }
