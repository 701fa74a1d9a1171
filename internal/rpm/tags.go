package rpm

// Tag numbers of headers (include/rpm/rpmtag.h), those that this package reads.
const (
	tagHeaderImage      = 61
	tagHeaderSignatures = 62
	tagHeaderImmutable  = 63
	tagI18NTable        = 100

	// In the signature header.
	sigDSAHeader  = 267
	sigRSAHeader  = 268
	sigSHA1       = 269
	sigSHA256     = 273
	sigOpenPGP    = 278
	sigSHA3       = 279
	sigReserved   = 999
	sigPGP        = 1002
	sigMD5        = 1004
	sigGPG        = 1005
	installSHA1   = 269 // the same numbers in an installed header
	installSHA256 = 273

	tagName            = 1000
	tagVersion         = 1001
	tagRelease         = 1002
	tagEpoch           = 1003
	tagBuildTime       = 1006
	tagInstallTime     = 1008
	tagSize            = 1009
	tagVendor          = 1011
	tagArch            = 1022
	tagOldFilenames    = 1027
	tagFileSizes       = 1028
	tagFileModes       = 1030
	tagFileDigests     = 1035
	tagFileLinktos     = 1036
	tagFileFlags       = 1037
	tagFileUser        = 1039
	tagFileGroup       = 1040
	tagSourceRPM       = 1044
	tagProvideName     = 1047
	tagRequireFlags    = 1048
	tagRequireName     = 1049
	tagRequireVersion  = 1050
	tagNoSource        = 1051
	tagNoPatch         = 1052
	tagConflictFlags   = 1053
	tagConflictName    = 1054
	tagConflictVersion = 1055
	tagTriggerScripts  = 1065
	tagTriggerName     = 1066
	tagTriggerVersion  = 1067
	tagTriggerFlags    = 1068
	tagTriggerIndex    = 1069
	tagObsoleteName    = 1090
	tagTriggerProg     = 1092
	tagSourcePackage   = 1106
	tagProvideFlags    = 1112
	tagProvideVersion  = 1113
	tagObsoleteFlags   = 1114
	tagObsoleteVersion = 1115
	tagDirIndexes      = 1116
	tagBasenames       = 1117
	tagDirNames        = 1118
	tagPayloadFormat   = 1124
	tagFileColors      = 1140

	tagLongFileSizes     = 5008
	tagLongSize          = 5009
	tagFileDigestAlgo    = 5011
	tagRecommendName     = 5046
	tagSuggestName       = 5049
	tagSupplementName    = 5052
	tagEnhanceName       = 5055
	tagFileTriggerBase   = 5066
	tagTransTriggerBase  = 5076
	tagPayloadDigest     = 5092
	tagPayloadDigestAlgo = 5093
	tagModularityLabel   = 5096
	tagPayloadSHA512     = 5121
	tagPayloadSHA3       = 5123
	tagPreUntrans        = 5104
	tagPostUntrans       = 5105
	tagPreUntransProg    = 5106
	tagPostUntransProg   = 5107
	tagPreIn, tagPostIn  = 1023, 1024
	tagPreUn, tagPostUn  = 1025, 1026
	tagVerifyScript      = 1079
	tagPreInProg         = 1085
	tagPostInProg        = 1086
	tagPreUnProg         = 1087
	tagPostUnProg        = 1088
	tagVerifyScriptProg  = 1091
	tagPreTrans          = 1151
	tagPostTrans         = 1152
	tagPreTransProg      = 1153
	tagPostTransProg     = 1154
)

// Data types of header entries.
const (
	typeNull        = 0
	typeChar        = 1
	typeInt8        = 2
	typeInt16       = 3
	typeInt32       = 4
	typeInt64       = 5
	typeString      = 6
	typeBin         = 7
	typeStringArray = 8
	typeI18NString  = 9
)

// class groups the data types that may stand for each other.
type class uint8

const (
	classAny class = iota
	classNumber
	classString
	classBinary
)

func classOf(typ uint32) class {
	switch typ {
	case typeChar, typeInt8, typeInt16, typeInt32, typeInt64:
		return classNumber
	case typeString, typeStringArray, typeI18NString:
		return classString
	case typeBin:
		return classBinary
	}
	return classAny
}

// wantClass tells which data a tag of a main header must hold. rpm refuses a known tag of another type (hdrchkTagType), and so
// does this package: a requirement must not vanish because its names come as numbers. Tags it does not read are not checked.
func wantClass(tag uint32) class {
	switch tag {
	case tagName, tagVersion, tagRelease, tagVendor, tagArch, tagOldFilenames, tagFileDigests, tagFileLinktos, tagFileUser,
		tagFileGroup, tagSourceRPM, tagProvideName, tagRequireName, tagRequireVersion, tagConflictName, tagConflictVersion,
		tagTriggerScripts, tagTriggerName, tagTriggerVersion, tagObsoleteName, tagTriggerProg, tagProvideVersion,
		tagObsoleteVersion, tagBasenames, tagDirNames, tagPayloadFormat, tagPayloadDigest, tagModularityLabel,
		tagPayloadSHA512, tagPayloadSHA3:
		return classString
	case tagEpoch, tagBuildTime, tagInstallTime, tagSize, tagFileSizes, tagFileModes, tagFileFlags, tagRequireFlags,
		tagConflictFlags, tagTriggerFlags, tagTriggerIndex, tagProvideFlags, tagObsoleteFlags, tagDirIndexes, tagFileColors,
		tagLongFileSizes, tagLongSize, tagFileDigestAlgo, tagPayloadDigestAlgo, tagNoSource, tagNoPatch:
		return classNumber
	}
	switch {
	case tag >= tagRecommendName && tag <= tagEnhanceName+2: // name, version, flags, four times
		if (tag-tagRecommendName)%3 == 2 {
			return classNumber
		}
		return classString
	case isScriptTag(tag):
		return classString
	}
	return classAny
}

func isScriptTag(tag uint32) bool {
	for _, k := range scriptTags {
		if tag == k.body || tag == k.prog {
			return true
		}
	}
	return false
}
