// Package host is all that happens on one host: facts, staging, test, transaction, verification, clean.
//
// Nothing is installed on a host. What runs there are the POSIX sh programs in scripts/, sent with each call; they are the
// whole list of remote commands, and a test pins every one of them. Each call has a random mark, and only lines that begin
// with it are read: what a package, a profile or a scriptlet prints can not be taken for an answer. All sizes are bounded
// here. Text of hosts is kept as it came; whoever shows it escapes it.
//
// A transaction does not depend on the connection: Session.Start leaves a runner on the host, detached, with its state in
// files that are replaced by rename, and Session.Poll asks for them over any later connection. The ledger (a directory for
// each id, made by mkdir) is why no id runs twice. rpm is never killed.
package host
