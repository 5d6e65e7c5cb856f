package realtimetest_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
)

// greeter is a program to be tested: it welcomes who joins a conversation.
func greeter(ctx context.Context, o realtime.Options) (stop func(), err error) {
	rt, err := realtime.New(o)
	if err != nil {
		return nil, err
	}
	bot := rt.NewIMClient("Greeter")
	bot.OnMembersJoined(func(ctx context.Context, e *realtime.MembersJoinedEvent) {
		_, _ = e.Conversation.Send(ctx, realtime.NewTextMessage("Welcome!"), realtime.WithRetry())
	})
	return func() { rt.Close(context.Background()) }, bot.Open(ctx)
}

func ExampleNewServer() {
	test := func(t testing.TB) { // func TestGreeter(t *testing.T)
		ctx := context.Background()
		s := realtimetest.NewServer(t)
		stop, err := greeter(ctx, s.Options())
		if err != nil {
			t.Fatalf("start: %v", err)
		}
		defer stop()

		tom := s.Client("Tom")
		events := tom.Events(ctx)
		if _, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Greeter"}}); err != nil {
			t.Fatalf("create: %v", err)
		}
		for e, err := range events {
			if err != nil {
				t.Fatalf("no greeting: %v", err)
			}
			if m, ok := e.(*realtime.MessageEvent); ok {
				fmt.Println(m.Message.From+":", m.Message.Text())
				return
			}
		}
	}
	runExample(test)
	// Output: Greeter: Welcome!
}

// A send that is repeated after a lost answer must not be stored twice.
func ExampleServer_Inject() {
	test := func(t testing.TB) { // func TestOrderIsPlacedOnce(t *testing.T)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		s := realtimetest.NewServer(t)
		tom := s.Client("Tom")
		conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{Members: []string{"Shop"}})
		if err != nil {
			t.Fatalf("create: %v", err)
		}

		s.Inject(realtimetest.Fault{
			Command: "direct", Client: "Tom", Times: 1,
			Do: realtimetest.CutAfter(), // the message is stored, the answer is lost
		})
		if _, err := conv.Send(ctx, realtime.NewTextMessage("one pizza"), realtime.WithRetry()); err != nil {
			t.Fatalf("order: %v", err)
		}

		orders, err := conv.QueryMessages(ctx, realtime.MessageQuery{})
		if err != nil {
			t.Fatalf("history: %v", err)
		}
		fmt.Println("pizzas:", len(orders))
	}
	runExample(test)
	// Output: pizzas: 1
}

// exampleTest stands in for the *testing.T that examples do not get.
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

func runExample(test func(t testing.TB)) {
	e := new(exampleTest)
	test(e)
	for i := len(e.ends) - 1; i >= 0; i-- {
		e.ends[i]()
	}
}
