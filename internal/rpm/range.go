package rpm

// Overlap tells whether two ranges of the same capability have a version in common, by rpm's rule (rpmverOverlap in
// rpmio/rpmver.cc): a range without a comparison matches every version, and releases are compared only when both sides have one.
func Overlap(aSense Sense, a EVR, bSense Sense, b EVR) bool {
	if aSense == 0 || bSense == 0 || a == (EVR{}) || b == (EVR{}) {
		return true // rpmdsCompare: a missing comparison or an empty version overlaps with everything
	}
	c := 0
	switch {
	case a.Epoch != b.Epoch:
		c = -1
		if a.Epoch > b.Epoch {
			c = 1
		}
	default:
		c = compareSegment(a.Version, b.Version)
		if c == 0 {
			return overlapReleases(aSense, a, bSense, b)
		}
	}
	return overlapSense(c, aSense, bSense)
}

// overlapReleases decides when epoch and version are equal.
func overlapReleases(aSense Sense, a EVR, bSense Sense, b EVR) bool {
	if a.Release != "" && b.Release != "" {
		return overlapSense(compareSegment(a.Release, b.Release), aSense, bSense)
	}
	// A missing release matches any release when its side has Equal (rpm: "1.0 = 1.0-3").
	if a.Release == "" && b.Release != "" && aSense&Equal != 0 {
		return true
	}
	if b.Release == "" && a.Release != "" && bSense&Equal != 0 {
		return true
	}
	return overlapSense(0, aSense, bSense)
}

func overlapSense(c int, a, b Sense) bool {
	switch {
	case c < 0:
		return a&Greater != 0 || b&Less != 0
	case c > 0:
		return a&Less != 0 || b&Greater != 0
	}
	return a&b&(Equal|Less|Greater) != 0
}

// Satisfies tells whether what is provided fulfils what is required; both name the same capability. A provide without a version
// fulfils any requirement, as in rpm.
func Satisfies(provided, required Dep) bool {
	return provided.Name == required.Name && Overlap(provided.Sense, provided.EVR, required.Sense, required.EVR)
}
