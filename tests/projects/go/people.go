package main

import (
	"context"
	"os"

	"github.com/jackc/pgx/v4/pgxpool"
)

// Observer is a member of the club.
type Observer struct {
	ID          string `json:"id"`
	Handle      string `json:"handle"`
	DisplayName string `json:"displayName"`
}

// People keeps the observers.
type People struct {
	pool *pgxpool.Pool
}

// NewPeople connects to Postgres.
func NewPeople(ctx context.Context) (*People, error) {
	pool, err := pgxpool.Connect(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return nil, err
	}
	return &People{pool: pool}, nil
}

// ByHandle finds an observer.
func (p *People) ByHandle(ctx context.Context, handle string) (*Observer, error) {
	var who Observer
	row := p.pool.QueryRow(ctx, "SELECT id::text, handle, display_name FROM observers WHERE handle = $1", handle)
	if err := row.Scan(&who.ID, &who.Handle, &who.DisplayName); err != nil {
		return nil, err
	}
	return &who, nil
}
