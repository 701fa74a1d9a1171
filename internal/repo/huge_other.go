//go:build !linux

package repo

func adviseLarge([]byte) {}
