package host

import (
	"bytes"
	"io"
)

// byteFile is bytes that can be opened.
type byteFile struct{ *bytes.Reader }

// Close does nothing.
func (byteFile) Close() error { return nil }

// openBytes serves as Upload.Open.
func openBytes(b []byte) func() (io.ReadSeekCloser, error) {
	return func() (io.ReadSeekCloser, error) { return byteFile{bytes.NewReader(b)}, nil }
}
