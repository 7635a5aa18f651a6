// Package hook sends signed webhooks, the same for each job queue that the bench measures.
package hook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// Deadline of an attempt, as Chat API's.
	Deadline = 10 * time.Second
	// Endpoints that do not hang, and those that do.
	Endpoints, HangingEndpoints = 100, 10
)

var secret = []byte("secretsecretsecretsecret")

// Hook is what a job sends.
type Hook struct {
	URL  string `json:"url"`
	Body string `json:"body"`
}

// Kind is the name of the job.
func (Hook) Kind() string { return "hook" }

// Response is what a job stores of the response.
type Response struct {
	Status       int     `json:"status"`
	Milliseconds float64 `json:"milliseconds"`
	Body         string  `json:"body"`
}

// Client returns an HTTP client that keeps up to `connections` of them open.
func Client(connections int) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = connections, connections
	return &http.Client{Transport: transport, Timeout: Deadline}
}

// Send makes one attempt, signed as Standard Webhooks say. A response other than 200 is an error.
func Send(ctx context.Context, client *http.Client, id string, hook Hook) (Response, error) {
	body := []byte(hook.Body)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.URL, bytes.NewReader(body))
	if err != nil {
		return Response{}, err
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	signature := hmac.New(sha256.New, secret)
	fmt.Fprintf(signature, "%s.%s.", id, at)
	signature.Write(body)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("webhook-id", id)
	request.Header.Set("webhook-timestamp", at)
	request.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(signature.Sum(nil)))
	began := time.Now()
	found, err := client.Do(request)
	if err != nil {
		return Response{}, err
	}
	defer found.Body.Close()
	text, err := io.ReadAll(io.LimitReader(found.Body, 64<<10))
	if err != nil {
		return Response{}, err
	}
	response := Response{found.StatusCode, float64(time.Since(began).Microseconds()) / 1000, string(text)}
	if found.StatusCode != http.StatusOK {
		return response, fmt.Errorf("responded with %d", found.StatusCode)
	}
	return response, nil
}

// Body returns about 500 bytes, as tests/bench/peers.py sends them.
func Body(number int) string {
	return fmt.Sprintf(
		`{"messages":[{"id":"true_17680561234@c.us_%020X","body":"%s","type":"chat",`+
			`"metadata":{"ts_ns":%d,"seq_no":%d}}],"instanceId":"1"}`,
		number, strings.Repeat("x", 350), time.Now().UnixNano(), number)
}

// Backlog returns `hanging` hooks of endpoints that hang, then `count` of others.
func Backlog(url string, count, hanging int) []Hook {
	hooks := make([]Hook, 0, hanging+count)
	for number := range hanging + count {
		to := fmt.Sprintf("%s/hang/%d", url, number%HangingEndpoints)
		if number >= hanging {
			to = fmt.Sprintf("%s/%d", url, number%Endpoints)
		}
		hooks = append(hooks, Hook{to, Body(number)})
	}
	return hooks
}

// Emit calls `commit` with `rate` hooks per second, and prints JSON [[path, seq_no, clock in ns after it], …].
func Emit(url string, rate, seconds float64, commit func(Hook) error) error {
	committed := [][3]any{}
	began := time.Now()
	for number := range int(rate * seconds) {
		time.Sleep(time.Until(began.Add(time.Duration(float64(number) / rate * float64(time.Second)))))
		path := fmt.Sprintf("/%d", number%Endpoints)
		sequence := 1_000_000 + number
		if err := commit(Hook{url + path, Body(sequence)}); err != nil {
			return err
		}
		committed = append(committed, [3]any{path, sequence, time.Now().UnixNano()})
	}
	return json.NewEncoder(os.Stdout).Encode(committed)
}

// Commands are what a program of the bench can do; each is called with the arguments of the command line.
type Commands struct {
	Migrate func() error
	Fill    func(hooks []Hook) error
	Work    func() error
	Emit    func(url string, rate, seconds float64) error
}

// Run executes the command of the command line: migrate; fill URL COUNT HANGING; work, until SIGTERM; or
// emit URL RATE SECONDS.
func Run(commands Commands) error {
	words := os.Args[1:]
	number := func(place int) float64 {
		found, err := strconv.ParseFloat(words[place], 64)
		if err != nil {
			panic(err)
		}
		return found
	}
	switch {
	case len(words) == 1 && words[0] == "migrate":
		return commands.Migrate()
	case len(words) == 4 && words[0] == "fill":
		return commands.Fill(Backlog(words[1], int(number(2)), int(number(3))))
	case len(words) == 1 && words[0] == "work":
		return commands.Work()
	case len(words) == 4 && words[0] == "emit":
		return commands.Emit(words[1], number(2), number(3))
	}
	return fmt.Errorf("migrate, fill URL COUNT HANGING, work, or emit URL RATE SECONDS")
}
