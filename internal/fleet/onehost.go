package fleet

import (
	"context"

	"cpacman/internal/host"
	"cpacman/inventory"
	"cpacman/transport"
)

// ScanKeys asks a host for its host keys. Nothing proves that they are the host's.
func (f *Fleet) ScanKeys(ctx context.Context, h *inventory.Host) ([]transport.ScannedKey, error) {
	return f.dialer.ScanKeys(ctx, f.Target(h))
}

// Clean removes what cpacman left on a host.
func (f *Fleet) Clean(ctx context.Context, h *inventory.Host, opt host.CleanOptions) (host.CleanReport, error) {
	conn, err := f.Dial(ctx, h)
	if err != nil {
		return host.CleanReport{}, err
	}
	defer conn.Close()
	return f.session(conn, h, host.Owner{}).Clean(ctx, opt)
}
