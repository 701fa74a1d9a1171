package rollout

import (
	"fmt"
	"slices"
	"testing"
)

// TestKept: of the hosts that clusters keep back comes first who is first in the wave, among the clusters that have changed and can spare
// one; and nobody is lost, whatever is asked in between.
func TestKept(t *testing.T) {
	for seed := range uint64(200) {
		rng := seeded(seed)
		var k kept
		model := map[string][]int{}
		fresh, free := map[string]bool{}, map[string]bool{}
		for place := range 200 {
			c := fmt.Sprint(rng.IntN(5))
			switch rng.IntN(4) {
			case 0, 1:
				k.add(c, place)
				model[c] = append(model[c], place)
			case 2:
				free[c] = rng.IntN(2) == 0
				k.changed([]string{c})
				if len(model[c]) > 0 {
					fresh[c] = true
				}
			case 3:
				want, from := -1, ""
				for c := range fresh {
					if list := model[c]; free[c] && len(list) > 0 && (want < 0 || list[0] < want) {
						want, from = list[0], c
					}
				}
				got, ok := k.next(func(c string) bool { return free[c] })
				if ok != (want >= 0) || ok && got != want {
					t.Fatalf("seed %d: next is %d, %v, want %d", seed, got, ok, want)
				}
				if ok {
					model[from] = model[from][1:]
				}
				for c := range fresh { // who could not spare one is not asked again before it changes
					if !free[c] || len(model[c]) == 0 && c != from {
						delete(fresh, c)
					}
				}
			}
		}
		k.all()
		var want, got []int
		for _, list := range model {
			want = append(want, list...)
		}
		slices.Sort(want)
		for p, ok := k.next(func(string) bool { return true }); ok; p, ok = k.next(func(string) bool { return true }) {
			got = append(got, p)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: left are %v, want %v", seed, got, want)
		}
	}
}
