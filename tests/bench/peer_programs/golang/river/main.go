// A webhook sender on River, a job queue in PostgreSQL, for the bench; hook.Run tells its commands.
//
// A hook is a job, queued in the transaction of its event. The job stores the response as its output; a failed attempt
// is retried. The settings are those of River's own benchmark. PEER_DATABASE is the database's URL.
package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"bench/hook"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

const (
	batch   = 1000
	workers = 2000
)

type sender struct {
	river.WorkerDefaults[hook.Hook]
	client *http.Client
}

func (*sender) Timeout(*river.Job[hook.Hook]) time.Duration { return hook.Deadline + time.Second }

func (s *sender) Work(ctx context.Context, job *river.Job[hook.Hook]) error {
	response, err := hook.Send(ctx, s.client, "hook_"+strconv.FormatInt(job.ID, 10), job.Args)
	if err != nil {
		return err
	}
	return river.RecordOutput(ctx, response)
}

func settings() *river.Config {
	silent := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError + 1}))
	return &river.Config{Logger: silent}
}

func fill(ctx context.Context, client *river.Client[pgx.Tx], hooks []hook.Hook) error {
	for first := 0; first < len(hooks); first += batch {
		jobs := make([]river.InsertManyParams, 0, batch)
		for _, one := range hooks[first:min(first+batch, len(hooks))] {
			jobs = append(jobs, river.InsertManyParams{Args: one})
		}
		if _, err := client.InsertManyFast(ctx, jobs); err != nil {
			return err
		}
	}
	return nil
}

func work(ctx context.Context, pool *pgxpool.Pool) error {
	config := settings()
	config.Workers = river.NewWorkers()
	river.AddWorker(config.Workers, &sender{client: hook.Client(workers)})
	config.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}}
	config.FetchCooldown, config.FetchPollInterval = 2*time.Millisecond, 20*time.Millisecond
	client, err := river.NewClient(riverpgxv5.New(pool), config)
	if err != nil {
		return err
	}
	ended, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	if err := client.Start(ctx); err != nil {
		return err
	}
	<-ended.Done()
	until, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return client.StopAndCancel(until)
}

func run() error {
	ctx := context.Background()
	config, err := pgxpool.ParseConfig(os.Getenv("PEER_DATABASE"))
	if err != nil {
		return err
	}
	config.MaxConns = 20
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	client, err := river.NewClient(riverpgxv5.New(pool), settings())
	if err != nil {
		return err
	}
	return hook.Run(hook.Commands{
		Migrate: func() error {
			migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
			if err != nil {
				return err
			}
			_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
			return err
		},
		Fill: func(hooks []hook.Hook) error { return fill(ctx, client, hooks) },
		Work: func() error { return work(ctx, pool) },
		Emit: func(url string, rate, seconds float64) error {
			return hook.Emit(url, rate, seconds, func(one hook.Hook) error {
				return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
					_, err := client.InsertTx(ctx, tx, one, nil)
					return err
				})
			})
		},
	})
}

func main() {
	if err := run(); err != nil {
		slog.Error(err.Error())
		os.Exit(1)
	}
}
