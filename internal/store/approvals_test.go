package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"cpacman/internal/rollout"
)

// TestRequestsWorkOnce: a request is found by its nonce alone, is used together with the command or not at all, and only once.
func TestRequestsWorkOnce(t *testing.T) {
	s, ctx := open(t), context.Background()
	start(t, s, "r1", "p1")
	start(t, s, "r2", "p2")
	q := rollout.NewRequest("r1", "d", "class p", at.Add(time.Hour), [32]byte{1})
	if err := s.PutRequest(ctx, q, "op"); err != nil {
		t.Fatal(err)
	}
	if err := s.PutRequest(ctx, q, "op"); err == nil {
		t.Error("a nonce is recorded twice")
	}
	if text, err := s.Request(ctx, q.Nonce); err != nil || text != q.Text() {
		t.Errorf("%q, %v", text, err)
	}
	if text, err := s.Request(ctx, "other"); err != nil || text != "" {
		t.Errorf("unknown nonce: %q, %v", text, err)
	}
	cmd := rollout.Command{Kind: rollout.CommandApprove, User: "op", Request: q.Text(), Signature: "s", At: at}
	if err := s.PutSigned(ctx, "r2", cmd, q.Nonce); !errors.Is(err, ErrNotFound) {
		t.Errorf("for another rollout: %v", err)
	}
	if err := s.PutSigned(ctx, "r1", cmd, q.Nonce); err != nil {
		t.Fatal(err)
	}
	var used *RequestUsedError
	if err := s.PutSigned(ctx, "r1", cmd, q.Nonce); !errors.As(err, &used) || used.At.IsZero() {
		t.Errorf("a second time: %v", err)
	}
	for id, want := range map[string]int{"r1": 1, "r2": 0} {
		got, err := s.Pending(ctx, id, 0)
		if err != nil || len(got) != want {
			t.Errorf("%s: %+v, %v", id, got, err)
		}
		if want == 1 && (got[0].Signature != "s" || got[0].Request != q.Text()) {
			t.Errorf("%+v", got[0])
		}
	}
}
