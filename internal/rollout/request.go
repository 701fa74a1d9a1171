package rollout

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// SignatureNamespace is the namespace of SSH signatures that are approvals: ssh-keygen -Y sign -n cpacman-approval. A signature made
// for anything else is none.
const SignatureNamespace = "cpacman-approval"

// Bounds of a request.
const (
	MaxRequest  = 2 << 10            // bytes of the text
	nonceBytes  = 32                 // random bytes in a nonce
	MaxRequests = 7 * 24 * time.Hour // the longest time a request may be signed
)

// requestHead is the first line of the text; what comes after it depends on the version.
const requestHead = "cpacman approval request, version 1"

// ApprovalRequest is what an approver signs: a yes to one gate of one rollout, as one digest has it, once, and until it expires.
type ApprovalRequest struct {
	Rollout string    `json:"rollout"`
	Digest  string    `json:"digest"` // of plan and resolved settings
	Scope   string    `json:"scope"`
	Expires time.Time `json:"expires"` // UTC, whole seconds
	Nonce   string    `json:"nonce"`   // 64 hex digits
}

// NewRequest makes a request. random are 32 bytes that nobody can guess.
func NewRequest(rollout, digest, scope string, expires time.Time, random [nonceBytes]byte) ApprovalRequest {
	return ApprovalRequest{Rollout: rollout, Digest: digest, Scope: scope, Expires: expires.UTC().Truncate(time.Second),
		Nonce: hex.EncodeToString(random[:])}
}

// Text is the request as it is signed, to the byte.
func (q ApprovalRequest) Text() string {
	return fmt.Sprintf("%s\nrollout: %s\ndigest: %s\nscope: %s\nexpires: %s\nnonce: %s\n", requestHead, q.Rollout, q.Digest, q.Scope,
		q.Expires.Format(time.RFC3339), q.Nonce)
}

// ParseRequest reads the text of a request. It is strict: what it accepts is what Text would write, so that two texts never
// mean the same and nothing can be said beside the request.
func ParseRequest(text []byte) (ApprovalRequest, error) {
	var q ApprovalRequest
	if len(text) > MaxRequest {
		return q, fmt.Errorf("the request is larger than %d bytes", MaxRequest)
	}
	lines := strings.Split(string(text), "\n")
	if lines[0] != requestHead {
		return q, fmt.Errorf("the request does not begin with %q", requestHead)
	}
	fields := []struct {
		name string
		to   *string
	}{{"rollout", &q.Rollout}, {"digest", &q.Digest}, {"scope", &q.Scope}, {"expires", new(string)}, {"nonce", &q.Nonce}}
	if len(lines) != len(fields)+2 {
		return q, errors.New("the request has not the lines it should have; sign it as it was printed")
	}
	for i, f := range fields {
		value, ok := strings.CutPrefix(lines[i+1], f.name+": ")
		if !ok || value == "" {
			return q, fmt.Errorf("line %d of the request is not %q", i+2, f.name+": …")
		}
		*f.to = value
	}
	expires, err := time.Parse(time.RFC3339, *fields[3].to)
	if err != nil {
		return q, errors.New("the request has no time at which it expires")
	}
	q.Expires = expires.UTC()
	if nonce, err := hex.DecodeString(q.Nonce); err != nil || len(nonce) != nonceBytes {
		return q, errors.New("the request has no nonce")
	}
	if !bytes.Equal(text, []byte(q.Text())) {
		return q, errors.New("the request is not written as cpacman writes it; sign it as it was printed")
	}
	return q, nil
}
