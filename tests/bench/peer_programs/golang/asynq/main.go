// A webhook sender on asynq, a job queue in Redis, for the bench; hook.Run tells its commands.
//
// Redis cannot take part in the event's transaction: an event is queued after it. A finished job stays for a day with
// the response as its result; a failed attempt is retried. PEER_REDIS is the URL.
package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"bench/hook"

	"github.com/hibiken/asynq"
)

const (
	workers = 500
	atOnce  = 32
)

func enqueue(client *asynq.Client, one hook.Hook) error {
	payload, err := json.Marshal(one)
	if err != nil {
		return err
	}
	task := asynq.NewTask(one.Kind(), payload, asynq.Timeout(hook.Deadline+time.Second), asynq.Retention(24*time.Hour))
	_, err = client.Enqueue(task)
	return err
}

// fill queues the hooks in their order, a part of each atOnce hooks at the same time.
func fill(client *asynq.Client, hooks []hook.Hook) error {
	failures := make([]error, len(hooks))
	for first := 0; first < len(hooks); first += atOnce {
		var group sync.WaitGroup
		for number := first; number < min(first+atOnce, len(hooks)); number++ {
			group.Go(func() { failures[number] = enqueue(client, hooks[number]) })
		}
		group.Wait()
	}
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}

func work(redis asynq.RedisConnOpt) error {
	client := hook.Client(workers)
	server := asynq.NewServer(redis, asynq.Config{
		Concurrency: workers, LogLevel: asynq.FatalLevel, TaskCheckInterval: 5 * time.Millisecond,
		ShutdownTimeout: time.Second,
	})
	handler := func(ctx context.Context, task *asynq.Task) error {
		var one hook.Hook
		if err := json.Unmarshal(task.Payload(), &one); err != nil {
			return err
		}
		response, err := hook.Send(ctx, client, "hook_"+task.ResultWriter().TaskID(), one)
		if err != nil {
			return err
		}
		result, err := json.Marshal(response)
		if err != nil {
			return err
		}
		_, err = task.ResultWriter().Write(result)
		return err
	}
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := server.Start(asynq.HandlerFunc(handler)); err != nil {
		return err
	}
	<-ended.Done()
	server.Shutdown()
	return nil
}

func run() error {
	redis, err := asynq.ParseRedisURI(os.Getenv("PEER_REDIS"))
	if err != nil {
		return err
	}
	client := asynq.NewClient(redis)
	defer client.Close()
	return hook.Run(hook.Commands{
		Migrate: func() error { return nil },
		Fill:    func(hooks []hook.Hook) error { return fill(client, hooks) },
		Work:    func() error { return work(redis) },
		Emit: func(url string, rate, seconds float64) error {
			return hook.Emit(url, rate, seconds, func(one hook.Hook) error { return enqueue(client, one) })
		},
	})
}

func main() {
	if err := run(); err != nil {
		slog.Error(err.Error())
		os.Exit(1)
	}
}
