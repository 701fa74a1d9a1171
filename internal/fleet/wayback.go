package fleet

import (
	"cpacman/internal/rpm"
	"cpacman/inventory"
	"cpacman/planner"
)

// wayBack computes, for a group, the set that takes its hosts back by itself, where the site may want one (ROLL-7, ROLL-8); else it says
// only whether the packages are at hand.
func (f *Fleet) wayBack(g *group, files *atHand) (planner.RollbackInfo, *planner.Result) {
	if g.result == nil {
		return planner.RollbackInfo{Complete: true}, nil
	}
	info := planner.RollbackPossible(g.result.Set, func(n rpm.NEVRA) bool { return g.universe.Offers(n, files.has) })
	s := &f.Site.Rollout
	wanted := s.Rollback != inventory.RollbackNever || s.Confirm > 0 && g.result.Set.Touches(s.ConfirmFor) != ""
	if !wanted || !info.Complete || g.result.Set.Empty() || g.result.Set.Touches(s.NoRollback) != "" {
		return info, nil
	}
	back, info, err := g.universe.Rollback(g.input, g.result)
	if err != nil || !info.Complete {
		return info, nil
	}
	info.Set = back.Set.ID
	return info, back
}
