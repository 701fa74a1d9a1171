package main

import (
	"math"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"
)

// largePage is the size of large pages on most machines, in bytes.
const largePage = 2 << 20

// largePages makes the heap take so many bytes in large pages, where the system gives them to who asks (transparent_hugepage = madvise): each of the
// small ones costs a fault when it is touched first, and a process that ends within a tenth of a second spends a fifth of its time on those. The
// runtime of Go does not ask. So one piece of that size is allocated, marked, and left to the collector untouched: what is allocated afterwards is
// cut from it. It is advice: what the system makes of it changes nothing else.
func largePages(size int) {
	if promisesCount() {
		return
	}
	b := make([]byte, size)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (largePage - 1)) //nolint:gosec // less than a page
	_ = syscall.Madvise(b[skip:skip+(len(b)-skip)&^(largePage-1)], syscall.MADV_HUGEPAGE)
	runtime.KeepAlive(&b)
	b = nil //nolint:ineffassign,wastedassign // it is the collector that reads this
	runtime.GC()
}

// promisesCount tells whether memory is limited that a process asks for and never touches (proc(5), getrlimit(2)).
func promisesCount() bool {
	policy, err := os.ReadFile("/proc/sys/vm/overcommit_memory")
	if err != nil || strings.TrimSpace(string(policy)) == "2" {
		return true
	}
	for _, what := range [...]int{syscall.RLIMIT_AS, syscall.RLIMIT_DATA} {
		var limit syscall.Rlimit
		if err := syscall.Getrlimit(what, &limit); err != nil || limit.Cur != math.MaxUint64 {
			return true
		}
	}
	return false
}
