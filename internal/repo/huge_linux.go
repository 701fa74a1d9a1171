package repo

import (
	"syscall"
	"unsafe"
)

// largePage is the size of large pages on most machines, in bytes; elsewhere the advice below is about less, or nothing.
const largePage = 2 << 20

// adviseLarge asks for large pages under memory that is about to be filled: otherwise every 4 KiB of an index that is read cost a fault of their
// own, more than reading them does. It is advice: what the system makes of it changes nothing else.
func adviseLarge(b []byte) {
	if len(b) < 2*largePage {
		return
	}
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	skip := int(-at & (largePage - 1))
	if n := (len(b) - skip) &^ (largePage - 1); n > 0 {
		_ = syscall.Madvise(b[skip:skip+n], syscall.MADV_HUGEPAGE)
	}
}
