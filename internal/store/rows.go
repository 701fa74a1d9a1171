package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// eachRow calls fn for every row of a query, with the values as the driver has them: they are fn's until it returns. For a row of a large fleet
// database/sql takes as long as SQLite does, so what is read of every host is read here.
func (s *Store) eachRow(ctx context.Context, query string, fn func(row []driver.Value) error, args ...string) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(c any) error {
		q, ok := c.(driver.QueryerContext)
		if !ok {
			return fmt.Errorf("the driver's connection is a %T and has no queries", c)
		}
		values := make([]driver.NamedValue, len(args))
		for i, a := range args {
			values[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
		}
		rows, err := q.QueryContext(ctx, query, values)
		if err != nil {
			return err
		}
		row := make([]driver.Value, len(rows.Columns()))
		for err == nil {
			if err = ctx.Err(); err != nil {
				break
			}
			if err = rows.Next(row); err == nil {
				err = fn(row)
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return errors.Join(err, rows.Close())
	})
}
