// The three services in Go: net/http, OpenTelemetry's SDK with batch export over OTLP/HTTP, a JSON log line per request,
// Prometheus metrics. The environment variable ROLE chooses which one it is.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

type die struct {
	Faces     []int   `json:"faces"`
	ErrorRate float64 `json:"error_rate"`
}

var (
	dice   = map[string]die{"fair": {Faces: []int{1, 2, 3, 4, 5, 6}}, "risky": {Faces: []int{1, 2, 3, 4, 5, 6}, ErrorRate: 0.3}}
	tracer api.Tracer
	// As many connections as there are clients: Go's default keeps two.
	client   = &http.Client{Transport: otelhttp.NewTransport(&http.Transport{MaxIdleConnsPerHost: 256})}
	logger   = slog.New(slog.NewJSONHandler(os.Stdout, nil))
	requests = promauto.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total"}, []string{"route", "status"})
	seconds  = promauto.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds"}, []string{"route"})
	rolls    = promauto.NewCounterVec(prometheus.CounterOpts{Name: "dice_rolls_total"}, []string{"result"})
)

// get asks another service, and returns its status and body.
func get(ctx context.Context, url string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

func specification(r *http.Request) (die, error) {
	var found struct {
		Specification die `json:"specification"`
	}
	status, body, err := get(r.Context(), os.Getenv("DIE_SERVICE_URL")+"/dice/"+r.URL.Query().Get("die"))
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the die answered %d", status)
	}
	return found.Specification, errors.Join(err, json.Unmarshal(body, &found))
}

func roll(one die) (int, bool) {
	if rand.Float64() < one.ErrorRate {
		rolls.WithLabelValues("failure").Inc()
		return 0, false
	}
	rolls.WithLabelValues("success").Inc()
	return one.Faces[rand.IntN(len(one.Faces))], true
}

// Handlers return the status and what is written as JSON.
type handler func(r *http.Request) (int, any)

func list(*http.Request) (int, any) {
	return http.StatusOK, map[string][]string{"identifiers": {"fair", "risky"}}
}

func describe(r *http.Request) (int, any) {
	name := r.PathValue("identifier")
	if one, ok := dice[name]; ok {
		return http.StatusOK, map[string]any{"identifier": name, "specification": one}
	}
	return http.StatusNotFound, map[string]string{"error": "die_not_found"}
}

func rollOne(r *http.Request) (int, any) {
	one, err := specification(r)
	if err != nil {
		return http.StatusBadGateway, map[string]string{"error": err.Error()}
	}
	value, ok := roll(one)
	if !ok {
		return http.StatusInternalServerError, map[string]string{"error": "roll_failed"}
	}
	logger.Info("Roll completed", "die_type", r.URL.Query().Get("die"), "roll_value", value, "trace_id", traceOf(r))
	return http.StatusOK, map[string]int{"roll": value}
}

func rollMany(r *http.Request) (int, any) {
	times, err := strconv.Atoi(r.URL.Query().Get("times"))
	if err != nil || times < 1 || times > 20 {
		return http.StatusBadRequest, map[string]string{"error": "bad_parameter"}
	}
	one, err := specification(r)
	if err != nil {
		return http.StatusBadGateway, map[string]string{"error": err.Error()}
	}
	values, total := make([]int, times), 0
	failed := make([]bool, times)
	var group sync.WaitGroup
	for index := range times {
		group.Add(1)
		go func() {
			defer group.Done()
			_, span := tracer.Start(r.Context(), "async_roll_"+strconv.Itoa(index))
			defer span.End()
			value, ok := roll(one)
			values[index], failed[index] = value, !ok
			logger.Info("Async roll completed", "roll_index", index, "roll_value", value, "trace_id", traceOf(r))
		}()
	}
	group.Wait()
	for index, value := range values {
		if failed[index] {
			return http.StatusInternalServerError, map[string]string{"error": "batch_failed"}
		}
		total += value
	}
	return http.StatusOK, map[string]any{"total": total, "rolls": values, "count": times}
}

// passOn asks dice-roller, and adds the trace's id.
func passOn(r *http.Request) (int, any) {
	status, body, err := get(r.Context(), os.Getenv("DICE_ROLLER_URL")+r.URL.RequestURI())
	answer := map[string]any{}
	if err = errors.Join(err, json.Unmarshal(body, &answer)); err != nil {
		return http.StatusBadGateway, map[string]string{"error": err.Error()}
	}
	answer["trace_id"] = traceOf(r)
	return status, answer
}

func traceOf(r *http.Request) string {
	return api.SpanContextFromContext(r.Context()).TraceID().String()
}

func serve(mux *http.ServeMux, route string, handle handler) {
	answer := func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		status, value := handle(r)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(value)
		took := time.Since(start).Seconds()
		requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
		seconds.WithLabelValues(route).Observe(took)
		logger.Info("Request", "route", route, "status", status, "duration", took, "trace_id", traceOf(r))
	}
	mux.Handle("GET "+route, otelhttp.NewHandler(http.HandlerFunc(answer), "GET "+route))
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		panic(err)
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter)) // reads OTEL_BSP_…
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	tracer = provider.Tracer("dice")

	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.Handle("GET /metrics", promhttp.Handler())
	switch os.Getenv("ROLE") {
	case "die":
		serve(mux, "/dice", list)
		serve(mux, "/dice/{identifier}", describe)
	case "roller":
		serve(mux, "/roll", rollOne)
		serve(mux, "/roll-async", rollMany)
	default:
		serve(mux, "/roll", passOn)
		serve(mux, "/roll-async", passOn)
	}
	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: mux}
	go func() { panic(server.ListenAndServe()) }()
	<-ctx.Done()
	_ = provider.Shutdown(context.Background())
}
