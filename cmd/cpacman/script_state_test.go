package main

import (
	"database/sql"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// goldenState is the database of an earlier version with a rollout half done: the fixture of the store's own test.
const goldenState = "internal/store/testdata/format-3.sql"

// stateCommands are commands of scripts about the state database.
func stateCommands(top string) map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		// goldenstate DIR: the state directory as an earlier version left it in the middle of a rollout.
		"goldenstate": func(ts *testscript.TestScript, neg bool, args []string) {
			if neg || len(args) != 1 {
				ts.Fatalf("usage: goldenstate DIR")
			}
			text, err := os.ReadFile(filepath.Join(top, goldenState))
			ts.Check(err)
			ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o700))
			runSQL(ts, args[0], string(text))
		},
		// sqlite DIR SQL: changes the database of a state directory.
		"sqlite": func(ts *testscript.TestScript, neg bool, args []string) {
			if neg || len(args) != 2 {
				ts.Fatalf("usage: sqlite DIR SQL")
			}
			runSQL(ts, args[0], args[1])
		},
	}
}

func runSQL(ts *testscript.TestScript, dir, text string) {
	path := filepath.Join(ts.MkAbs(dir), "cpacman.db")
	db, err := sql.Open("sqlite", "file:"+path)
	ts.Check(err)
	_, err = db.Exec(text)
	ts.Check(err)
	ts.Check(db.Close())
	ts.Check(os.Chmod(path, 0o600))
}
