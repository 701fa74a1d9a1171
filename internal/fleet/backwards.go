package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cpacman/internal/repo"
	"cpacman/internal/store"
)

// maxAhead is how far the clock of who made a repository may be ahead of ours.
const maxAhead = 24 * time.Hour

// BackwardsError refuses a repository whose metadata is older than what a plan was made from before: a mirror that was put back, or one
// that somebody holds back to keep an advisory away (SEC-6).
type BackwardsError struct {
	Repo     string
	Made     time.Time // of the metadata now; zero: it has none any more
	Packages int
	Last     store.RepoState
}

// Error gives both times.
func (e *BackwardsError) Error() string {
	const layout = "2006-01-02 15:04:05Z"
	if e.Made.IsZero() {
		return fmt.Sprintf("repository %s has no metadata any more, it is a directory with %d packages, and a plan was made from metadata of %s on %s: is it mounted?",
			e.Repo, e.Packages, e.Last.Made.Format(layout), e.Last.Seen.UTC().Format(layout))
	}
	return fmt.Sprintf("repository %s has gone backwards: its metadata is of %s, and a plan was made from metadata of %s on %s",
		e.Repo, e.Made.Format(layout), e.Last.Made.Format(layout), e.Last.Seen.UTC().Format(layout))
}

// stateOf tells how far a repository has come; false for one whose metadata has no time, as a directory without.
func (f *Fleet) stateOf(r *repo.Repo) (store.RepoState, bool) {
	made, ok := r.Made()
	return store.RepoState{Repo: r.ID(), Path: r.Path(), Digest: r.Digest(), Made: made, Seen: f.now().UTC()}, ok
}

// notBackwards refuses a repository that is older than it was, and records how far it has come. A repository of another path is
// another one: whoever writes the site has decided that.
func (f *Fleet) notBackwards(ctx context.Context, r *repo.Repo) error {
	now, further, err := f.compareLast(ctx, r)
	if err != nil || !further {
		return err
	}
	if now.Made.After(now.Seen.Add(maxAhead)) {
		f.log.Warn("the metadata of a repository are from the future and are not remembered", "repo", r.ID(), "made", now.Made)
		return nil // remembered, they would make every later state look old
	}
	return f.Store.PutRepoSeen(ctx, now)
}

// compareLast gives how far a repository has come, and whether that is further than it was; a *BackwardsError where it is less far.
func (f *Fleet) compareLast(ctx context.Context, r *repo.Repo) (now store.RepoState, further bool, err error) {
	now, timed := f.stateOf(r)
	last, err := f.Store.RepoSeen(ctx, r.ID())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return now, timed, nil
	case err != nil:
		return now, false, err
	case last.Digest == now.Digest && last.Path == now.Path:
		return now, false, nil
	case !timed && (last.Path != now.Path || last.Made.IsZero()):
		return now, false, nil
	case !timed:
		return now, false, &BackwardsError{Repo: r.ID(), Packages: r.Len(), Last: last}
	case last.Path == now.Path && now.Made.Before(last.Made):
		return now, false, &BackwardsError{Repo: r.ID(), Made: now.Made, Last: last}
	}
	return now, true, nil
}

// AcceptRepo takes a repository as it is, though it may be older than it was.
func (f *Fleet) AcceptRepo(ctx context.Context, r *repo.Repo, user, reason string) (store.RepoState, error) {
	now, timed := f.stateOf(r)
	if last, err := f.Store.RepoSeen(ctx, r.ID()); !timed && (errors.Is(err, store.ErrNotFound) || err == nil && last.Made.IsZero()) {
		return now, fmt.Errorf("the metadata of repository %s have no time, so nothing is refused for it", r.ID())
	}
	return now, f.Store.AcceptRepo(ctx, now, user, reason)
}
