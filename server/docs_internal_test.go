package server

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/file"
)

// The figures of docs/security.md are the defaults, and every limit is there.
func TestDocumentedDefaults(t *testing.T) {
	o, err := Options{Apps: []App{{ID: "app"}}, MaxFileSize: file.DefaultMaxSize}.complete()
	require.NoError(t, err)
	text, err := os.ReadFile("../docs/security.md")
	require.NoError(t, err)
	rows := regexp.MustCompile("(?m)^\\| `(Options|Limits)\\.(\\w+)` \\| (\\S+) \\|").FindAllStringSubmatch(string(text), -1)
	documented := make(map[string]bool)
	for _, row := range rows {
		holder, name, want := reflect.ValueOf(o), row[2], row[3]
		if row[1] == "Limits" {
			holder = reflect.ValueOf(o.Limits)
		}
		f := holder.FieldByName(name)
		require.True(t, f.IsValid(), "there is no %s.%s", row[1], name)
		got := fmt.Sprint(f.Interface())
		switch d, isTime := f.Interface().(time.Duration); {
		case isTime:
			got = strings.TrimSuffix(fmt.Sprintf("%g", d.Seconds()), ".0") + "s"
		case got == fmt.Sprint(NoLimit):
			got = "none"
		}
		require.Equal(t, want, got, "%s.%s", row[1], name)
		documented[row[1]+"."+name] = true
	}
	for _, name := range []string{"SendRate", "HistoryRate", "RequestRate", "FrameRate", "Connections", "ConnectionsIP", "ConnectRate", "SessionsConn"} {
		require.True(t, documented["Limits."+name], name)
	}
}
