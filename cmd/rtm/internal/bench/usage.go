package bench

import (
	"runtime/metrics"
	"time"
)

// usage is what the process has used until some moment.
type usage struct {
	cpu            time.Duration
	known          bool // whether cpu is
	objects, bytes uint64
}

func usageNow() usage {
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(samples)
	u := usage{objects: samples[0].Value.Uint64(), bytes: samples[1].Value.Uint64()}
	u.cpu, u.known = cpuTime()
	return u
}

// since is what was used from an earlier moment on, for so many things.
func (u usage) since(earlier usage, things int64) Process {
	p := Process{Allocations: u.objects - earlier.objects, AllocatedBytes: u.bytes - earlier.bytes}
	cpu := (u.cpu - earlier.cpu).Seconds()
	if u.known {
		p.CPUSeconds = &cpu
	}
	if things == 0 {
		return p
	}
	p.AllocationsEach = float64(p.Allocations) / float64(things)
	p.BytesEach = float64(p.AllocatedBytes) / float64(things)
	if u.known {
		million := cpu / float64(things) * 1e6
		p.CPUSecondsPerMillion = &million
	}
	return p
}
