package main

import (
	"database/sql"
	"fmt"

	"cpacman/internal/rpm"

	_ "modernc.org/sqlite" // the driver of rpm's database
)

// readDatabase reads the installed packages of an rpm database of the sqlite kind: the headers that a host would send.
func readDatabase(path string) ([]*rpm.Package, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT blob FROM Packages ORDER BY hnum")
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	defer rows.Close()
	var out []*rpm.Package
	for rows.Next() {
		var blob []byte
		if err := rows.Scan(&blob); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		in, err := rpm.ParseInstalled(blob)
		if err != nil {
			return nil, fmt.Errorf("%s: header %d: %w", path, len(out)+1, err)
		}
		if in.Name != rpm.PubkeyName {
			out = append(out, in.Package)
		}
	}
	return out, rows.Err()
}
