package planner

import "testing"

// BenchmarkReferenceHost plans the reference host over its two repositories (needs CPACMAN_DATA).
func BenchmarkReferenceHost(b *testing.B) {
	h, v := rhel72(b)
	u, err := NewUniverse(v)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := u.Solve(h, Request{}); err != nil {
			b.Fatal(err)
		}
	}
}
