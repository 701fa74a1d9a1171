// Package rpm holds the words of RPM that every other package speaks: EVR order, NEVRA, dependencies with ranges and
// boolean expressions, package headers and their signatures.
//
// It reads bytes and strings that others fetched, never a network or a host, and treats all of them as hostile: sizes are
// bounded before memory is taken, and damaged input is an error, never a panic.
//
// A package file goes through ReadPackageFile, then Verify with the keys of its repository; only then is what its header says
// worth anything. A header that a host sent goes through CheckHeader with the digest that the host reported. Where rpm itself is
// installed the tests compare with it: order, ranges, boolean dependencies, every fact of a header, digests and signatures.
package rpm
