// Package evidence writes the bundle of one rollout: everything the control host knows of it, as files in one archive, each with its
// digest, and the lines of the audit trail that bind them (AUDIT-8). The same rollout gives the same bytes. Settings of the site
// are no part of it, and neither is anything that could be a secret.
package evidence
