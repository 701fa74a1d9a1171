package main

import (
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

// death is how a host is gone.
type death int

const (
	lives        death = iota
	refuses            // nothing listens any more
	hangsUp            // accepts, and closes before it says a word
	isSilent           // accepts, and says nothing
	cutInLogin         // goes in the middle of the handshake
	cutAtCommand       // goes when it is asked
	cutInAnswer        // goes in the middle of its answer
)

// accept decides what becomes of a connection to a host that is gone so. False: it is taken care of.
func (d death) accept(t *testing.T, c net.Conn, after time.Duration) bool {
	switch d {
	case refuses, hangsUp:
		c.Close()
	case isSilent:
		t.Cleanup(func() { c.Close() })
	case cutInLogin:
		go func() {
			io.WriteString(c, "SSH-2.0-OpenSSH_9.0\r\n") //nolint:errcheck // it dies anyway
			time.Sleep(after)
			c.Close()
		}()
	default:
		return true
	}
	return false
}

// moment is when a host of a rollout dies.
type moment int

const (
	lasts           moment = iota
	atConnection           // at one of its first connections
	atCommand              // when it is asked something before its transaction
	inAnswer               // in the middle of its answer to that
	inUpload               // with a part of a package on its disk
	beforeAccepting        // when its transaction is asked for
	afterAccepting         // when it has accepted that, and before it could say so; the transaction goes on
	atPoll                 // when it is asked how that stands; it goes on
	withoutPower           // the same, but its power is lost, too, before rpm has changed anything
	inVerification         // when it is asked what its transaction has left
	atHealth               // when all that is left is to ask for its health
	moments
)

// fate is when and how a host dies.
type fate struct {
	when    moment
	command string // of atCommand and inAnswer
	after   int    // connections, bytes of the answer or of the upload
	dead    death  // how it is gone then
}

// early tells whether the host dies before its transaction was asked for.
func (f fate) early() bool { return f.when != lasts && f.when < beforeAccepting }

// someFate is the nth of the fates that are dealt out: every moment comes as often as the others, and all else is chance.
func someFate(n int, rng *rand.Rand) fate {
	f := fate{when: 1 + moment(n)%(moments-1), dead: 1 + death(rng.IntN(int(cutInLogin)))}
	before := []string{"facts", "preflight", "stage", scriptSurvey, scriptDigests, "admit", "test", scriptUnits, "acquire"}
	f.command = before[rng.IntN(len(before))]
	switch f.when {
	case atConnection:
		f.after = 1 + rng.IntN(3) // for the quorum, for its work, for its health before
		if f.after == 1 && f.dead == isSilent {
			f.after++ // each wait for a silent host is 20 seconds, and the others would wait for it
		}
	case inUpload:
		f.after = rng.IntN(4000)
	default:
		f.after = rng.IntN(300)
	}
	return f
}

// accept implements sshtest.Config.OnAccept.
func (h *scriptedHost) accept(_ int, c net.Conn) bool {
	h.mu.Lock()
	if h.connections++; h.gone == lives && h.fate.when == atConnection && h.connections >= h.fate.after {
		h.die()
	}
	how, after := h.gone, time.Duration(h.fate.after)*time.Millisecond
	h.mu.Unlock()
	return how.accept(h.site.t, c, after)
}

// dies tells whether the host dies when it is asked a command, before it has done anything. Called with mu held.
func (h *scriptedHost) dies(command string) bool {
	switch h.fate.when {
	case atCommand:
		return command == h.fate.command
	case beforeAccepting:
		return command == "start"
	case atPoll:
		return command == "poll"
	case withoutPower:
		if command == "poll" {
			h.boot++
			return true
		}
	case inVerification:
		return command == "after"
	case atHealth:
		return command == scriptUnits && h.runs > h.runsBefore
	}
	return false
}

// answersNot tells how much of its answer to a command the host still gives. Called with mu held.
func (h *scriptedHost) answersNot(command string) (bytes int, cut bool) {
	switch h.fate.when {
	case inAnswer:
		return h.fate.after, command == h.fate.command
	case afterAccepting:
		return 0, command == "start"
	}
	return 0, false
}

// die makes the host gone. What it has begun by itself goes on. Called with mu held.
func (h *scriptedHost) die() {
	if h.gone != lives {
		return
	}
	h.gone = h.fate.dead
	server := h.server
	server.CutAll() // at once: what the host would say from now on nobody hears
	if h.fate.dead == refuses {
		h.closing.Go(server.Close) // which waits for who is here just now
	}
}

// doom gives the host its fate.
func (h *scriptedHost) doom(f fate) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fate, h.connections, h.runsBefore = f, 0, h.runs
}

// comesBack makes the host reachable again, under the same address and with the same key.
func (h *scriptedHost) comesBack(t *testing.T) {
	t.Helper()
	h.closing.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone == refuses {
		h.listen(t, h.server.Addr())
	}
	h.gone, h.fate = lives, fate{}
}
