// Package repo reads static yum repositories and plain directories of RPMs from local disk: packages with their
// dependencies, advisories, modules, and complete file lists when somebody asks for them.
//
// Everything read is treated as hostile. Sizes are bounded before memory is taken, both the compressed and the opened bytes
// of each metadata file are checked against what repomd.xml says, no path named by metadata can leave the repository, and
// whatever is wrong is a *Damage that names the file. Text from metadata is kept as it was written, except that names, versions,
// architectures and paths with control characters are refused; whoever prints the rest escapes it for its sink.
//
// Primary and filelists are read by a byte scanner that knows only the plain form createrepo writes. Whatever it is not sure
// about, faults included, is read again from the start by encoding/xml, which is the authority. The result is kept
// in a compact index under the digest of repomd.xml, so an unchanged repository is parsed once.
package repo
