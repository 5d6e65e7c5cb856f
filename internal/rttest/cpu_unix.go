//go:build unix

package rttest

import (
	"syscall"
	"time"
)

// CPUTime is what the process has used of the processors so far: unlike the
// time by the clock it hardly depends on what else the machine does.
func CPUTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
