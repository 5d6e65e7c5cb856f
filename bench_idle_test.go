package realtime_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// footprint is what a process holds once what is about to end has ended.
type footprint struct {
	Heap, Stacks int64 // bytes: live objects, and the stacks of goroutines
	Goroutines   int
}

func takeFootprint() footprint {
	for range 1000 {
		runtime.Gosched() // workers that were started on demand end by themselves
	}
	f := footprint{Goroutines: runtime.NumGoroutine()}
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // frees what finalizers and pools kept
	runtime.ReadMemStats(&m)
	f.Heap, f.Stacks = int64(m.HeapAlloc), int64(m.StackInuse)
	return f
}

// serverFootprint asks a server that runs in a process of its own.
func serverFootprint(b *testing.B, url string) (f footprint) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url+benchMemoryPath, http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	resp, err := new(http.Client).Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&f); err != nil {
		b.Fatal(err)
	}
	return f
}

// report tells what each of n things costs in memory, by the difference of two
// footprints.
func (f footprint) report(b *testing.B, before footprint, side string, n int) {
	b.ReportMetric(float64(f.Heap-before.Heap)/float64(n), side+"-heap-B")
	b.ReportMetric(float64(f.Stacks-before.Stacks)/float64(n), side+"-stack-B")
	b.ReportMetric(float64(f.Goroutines-before.Goroutines)/float64(n), side+"-goroutines")
}

// BenchmarkIdleClient tells what a client costs that is logged in and does
// nothing, on a connection shared by many, on the client's side and on the
// server's, which run in two processes.
func BenchmarkIdleClient(b *testing.B) {
	url := benchServerProcess(b)
	rt := benchRealtime(b, url)
	benchIdle(b, url, 10_000, func(id string) (any, error) {
		return rt.CreateIMClient(context.Background(), id)
	})
}

// BenchmarkIdleConnection tells the same of a connection with one client on it.
func BenchmarkIdleConnection(b *testing.B) {
	url := benchServerProcess(b)
	benchIdle(b, url, 500, func(id string) (any, error) {
		rt := benchRealtime(b, url)
		_, err := rt.CreateIMClient(context.Background(), id)
		return rt, err
	})
}

// benchIdle makes n things and reports the cost of one. There is nothing to
// repeat: the time of an operation means nothing here.
func benchIdle(b *testing.B, url string, n int, login func(id string) (any, error)) {
	if testing.Short() {
		n /= 10
	}
	const warm = 10 // brings along what there is once only
	kept := make([]any, 0, warm+n)
	var client, server footprint
	for i := range warm + n {
		if i == warm {
			client, server = takeFootprint(), serverFootprint(b, url)
		}
		c, err := login("client-" + strconv.Itoa(i))
		if err != nil {
			b.Fatal(err)
		}
		kept = append(kept, c)
	}
	for b.Loop() { // see above
	}
	takeFootprint().report(b, client, "client", n)
	serverFootprint(b, url).report(b, server, "server", n)
	http.DefaultClient.CloseIdleConnections()
	runtime.KeepAlive(kept)
}

// benchProcess makes the test binary run a server and nothing else.
const benchProcess = "REALTIME_BENCH_SERVER"

// benchMemoryPath is where the server of a process of its own tells what it holds.
const benchMemoryPath = "/bench/memory"

// TestBenchServerProcess is the server of the benchmarks of memory, when one of
// them has started this binary once more. It serves until its standard input
// ends.
func TestBenchServerProcess(t *testing.T) {
	if os.Getenv(benchProcess) == "" {
		return // an ordinary run: there is nothing to test
	}
	url := benchServe(t, func(core http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/", core)
		mux.HandleFunc(benchMemoryPath, func(w http.ResponseWriter, _ *http.Request) {
			if err := json.NewEncoder(w).Encode(takeFootprint()); err != nil {
				t.Error(err)
			}
		})
		return mux
	})
	if _, err := os.Stdout.WriteString(url + "\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stdin.Read(make([]byte, 1)); err == nil {
		t.Fatal("the standard input was not to have anything")
	}
}

// benchServerProcess starts the server in a process of its own.
func benchServerProcess(b *testing.B) (url string) {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestBenchServerProcess$")
	cmd.Env = append(os.Environ(), benchProcess+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			b.Errorf("the server process: %v", err)
		}
	})
	buf := make([]byte, 256)
	n, err := stdout.Read(buf)
	if err != nil {
		b.Fatalf("the server process has not told its address: %v", err)
	}
	return strings.TrimSpace(string(buf[:n]))
}
