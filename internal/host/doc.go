// Package host is all that happens on one host: facts, staging, test, transaction, verification.
package host
