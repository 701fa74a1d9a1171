//go:build !linux

package repo

import "os"

func adviseLarge([]byte) {}

func mapFile(*os.File, int64) []byte { return nil }
