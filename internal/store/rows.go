package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// eachRow calls fn for every row of a query, with the values as the driver has them: they are fn's until it returns.
type eachRow func(query string, fn func(row []driver.Value) error, args ...string) error

// inSnapshot lets fn read the database as it is at one moment. For a row of a large fleet database/sql takes as long as SQLite does, so what is read
// of every host is read past it.
func (s *Store) inSnapshot(ctx context.Context, fn func(rows eachRow) error) (err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	defer func() {
		// Whatever ended the context, the connection is not to be given back with a transaction.
		_, end := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		err = errors.Join(err, end)
	}()
	return conn.Raw(func(c any) error {
		q, ok := c.(driver.QueryerContext)
		if !ok {
			return fmt.Errorf("the driver's connection is a %T and has no queries", c)
		}
		return fn(func(query string, fn func([]driver.Value) error, args ...string) error {
			return queryRows(ctx, q, query, fn, args)
		})
	})
}

func queryRows(ctx context.Context, q driver.QueryerContext, query string, fn func([]driver.Value) error, args []string) error {
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
}
