package fleet

import (
	"testing"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
)

func TestJudgeKernel(t *testing.T) {
	for name, c := range map[string]struct {
		k    host.KernelTrial
		in   rollout.Verification
		want rollout.Verification
	}{
		"none":               {host.KernelTrial{}, rollout.Verification{Outcome: rollout.VerifyExpected, Reboot: true}, rollout.Verification{Outcome: rollout.VerifyExpected, Reboot: true}},
		"due":                {host.KernelTrial{Due: true}, rollout.Verification{Outcome: rollout.VerifyExpected}, rollout.Verification{Outcome: rollout.VerifyExpected, Reboot: true}},
		"tried, asked again": {host.KernelTrial{Tried: true}, rollout.Verification{Outcome: rollout.VerifyExpected, Reboot: true}, rollout.Verification{Outcome: rollout.VerifyExpected}},
		"failed": {host.KernelTrial{Failed: "no\x1bentry"}, rollout.Verification{Outcome: rollout.VerifyExpected, Detail: "a"},
			rollout.Verification{Outcome: rollout.VerifyPartial, Detail: "a; no entry"}},
		"failed and nothing done": {host.KernelTrial{Failed: "no entry"}, rollout.Verification{Outcome: rollout.VerifyOld},
			rollout.Verification{Outcome: rollout.VerifyOld, Detail: "no entry"}},
		"left to the packages": {host.KernelTrial{Not: "no GRUB"}, rollout.Verification{Outcome: rollout.VerifyExpected},
			rollout.Verification{Outcome: rollout.VerifyExpected, Detail: "the new kernel is not booted once: no GRUB"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.in
			judgeKernel(&got, c.k)
			if got.Outcome != c.want.Outcome || got.Reboot != c.want.Reboot || got.Detail != c.want.Detail {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestBootOnceAsked(t *testing.T) {
	for _, c := range []struct {
		once, anyway bool
		want         host.BootOnce
	}{{false, false, host.BootAsPackaged}, {false, true, host.BootAsPackaged}, {true, false, host.BootOnceNeeded}, {true, true, host.BootOnceWanted}} {
		if got := bootOnce(rollout.Job{BootOnce: c.once, BootAnyway: c.anyway}); got != c.want {
			t.Errorf("%v %v: %q", c.once, c.anyway, got)
		}
	}
}
