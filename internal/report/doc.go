// Package report says how far hosts are from what they should be. It computes from values that others read, and renders
// nothing: tables, JSON and CSV are the command line's.
package report
