package realtime_test

import (
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/leanrtm/realtime/realtimetest"
)

// exampleTest stands in for the testing.TB that examples do not get.
type exampleTest struct {
	testing.TB
	ends []func()
}

func (e *exampleTest) Helper()                           {}
func (e *exampleTest) Output() io.Writer                 { return io.Discard }
func (e *exampleTest) Cleanup(f func())                  { e.ends = append(e.ends, f) }
func (e *exampleTest) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (e *exampleTest) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (e *exampleTest) TempDir() string {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	e.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// startServer is the server of an example. A program has the options of its
// own app instead: AppID, AppKey and Server.
func startServer(opts ...realtimetest.Option) (s *realtimetest.Server, stop func()) {
	e := new(exampleTest)
	return realtimetest.NewServer(e, opts...), func() {
		for i := len(e.ends) - 1; i >= 0; i-- {
			e.ends[i]()
		}
	}
}

// check keeps the examples short.
func check(err error) {
	if err != nil {
		panic(err)
	}
}
