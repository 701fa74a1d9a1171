package rpm

import "errors"

// Why a package is refused. Verify wraps exactly one of them; a *SignatureError among them names the key.
var (
	ErrUnsigned             = errors.New("package is not signed")
	ErrDigest               = errors.New("digest does not match")
	ErrUnknownKey           = errors.New("signed by a key that is not allowed")
	ErrBadSignature         = errors.New("bad signature")
	ErrNoModernDigest       = errors.New("no modern digest covers the payload")
	ErrUnsupportedSignature = errors.New("unsupported signature")
	ErrWeakSignature        = errors.New("signature uses weak cryptography")
	ErrKeyInvalid           = errors.New("key may not sign")
)
