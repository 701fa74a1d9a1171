package repo

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
)

// gzipReader reads a gzip file as zlib does, and with it createrepo_c, libsolv and librepo: all of its members, and nothing of what follows them and is no
// member. The format allows zeros there, of blocks that were filled up; the checksum in repomd.xml is of these bytes too.
type gzipReader struct {
	in *bufio.Reader
	z  *gzip.Reader
}

func newGzipReader(in *bufio.Reader) (*gzipReader, error) {
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return &gzipReader{in, z}, nil
}

// Read implements io.Reader.
func (g *gzipReader) Read(p []byte) (int, error) {
	for {
		n, err := g.z.Read(p)
		if n > 0 || !errors.Is(err, io.EOF) {
			if errors.Is(err, io.EOF) { // of the member: what follows it is for the next call
				err = nil
			}
			return n, err
		}
		head, err := g.in.Peek(2)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if formOf(head) != "gz" {
			return 0, io.EOF
		}
		if err := g.z.Reset(g.in); err != nil {
			return 0, err
		}
		g.z.Multistream(false)
	}
}
