//go:build !unix

package rttest

import "time"

// CPUTime is not known here: it is 0.
func CPUTime() time.Duration { return 0 }
