package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// What hosts need while they are asked or worked on, in bytes, beside what the process has already: for each of them at once its connection and
// its answer, and for all of them the database.
const (
	memoryForFacts = 128 << 10
	memoryForWork  = 208 << 10
	memoryForAll   = 32 << 20
)

// boundMemory makes the garbage collector work harder while that many hosts are asked or worked on at once, each with so much, rather than let
// the process grow to twice of what it needs. It is no limit that anything fails at, and GOMEMLIMIT goes before it. The caller calls what it
// returns at the end.
func boundMemory(atOnce int, each int64) (end func()) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	var use runtime.MemStats
	runtime.ReadMemStats(&use)
	before := debug.SetMemoryLimit(int64(use.HeapAlloc) + memoryForAll + int64(atOnce)*each) //nolint:gosec // memory of this process
	return func() { debug.SetMemoryLimit(before) }
}

// planGarbage is how much the heap may grow, in percent, before what is not needed any more is looked for while a plan is made from stored
// facts: such a process lives for a second, and twice Go's own value takes a quarter off its time. Memory it costs where there was little.
const planGarbage = 200

// Where very much is needed, as for thousands of hosts that all differ, no more than so many bytes may be garbage, or so many percent of what is needed.
const (
	mostGarbage  = 256 << 20
	leastGarbage = 40
)

// The heap of a plan that is made from stored facts, in bytes, up to which nothing is looked for: what a plan of one host takes, what each further host
// adds, and at most. The most comes in large pages; what is not needed is never touched and costs nothing.
const (
	heapOfPlan  = 48 << 20
	heapPerHost = 12 << 10
	mostHeap    = 192 << 20
)

// leastHeap is what Go's collector counts from before its first collection, in bytes.
const leastHeap = 4 << 20

// shortLived prepares the heap of a process that ends soon: it grows faster, and comes in large pages where it will be large, unless GOMEMLIMIT or GOGC in the
// environment say how it is to be. (For one host, to ask for them costs more than they save.) What it returns is called once it is known of how many hosts the
// process will know; until then nothing is collected. Both go on beside other work.
func shortLived(large bool) (known func(hosts int)) {
	percent := debug.SetGCPercent(-1)
	ready := make(chan struct{})
	go func() {
		defer close(ready)
		if large && os.Getenv("GOMEMLIMIT") == "" {
			largePages(mostHeap)
		}
	}()
	return func(hosts int) {
		go func() {
			<-ready
			if os.Getenv("GOGC") == "" {
				heap := int64(min(heapOfPlan+hosts*heapPerHost, mostHeap))
				percent = max(planGarbage, int(heap*100/leastHeap)-100)
				afterCollection()
			}
			debug.SetGCPercent(percent)
		}()
	}
}

// afterCollection sets, after each collection from now on, how far the heap may grow until the next.
func afterCollection() {
	// The cleanup of what nobody holds is run after a collection.
	runtime.AddCleanup(new([64]byte), func(int) {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		if live[0].Value.Kind() == metrics.KindUint64 {
			debug.SetGCPercent(garbageFor(live[0].Value.Uint64()))
		}
		afterCollection()
	}, 0)
}

// garbageFor is how much a heap of so many bytes may grow, in percent.
func garbageFor(live uint64) int {
	return int(max(leastGarbage, min(planGarbage, mostGarbage*100/max(live, 1)))) //nolint:gosec // at most planGarbage
}
