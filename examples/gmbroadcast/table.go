package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// printTable prints a line for each way of speaking.
func printTable(out io.Writer, results []result) {
	t := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "announcement\trounds\treach\tp50\tp99\tmax\t")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t%d\t%d of %d\t%v\t%v\t%v\t\n", r.way, r.rounds, r.reach, r.players, ms(r.p50), ms(r.p99), ms(r.max))
	}
	_ = t.Flush() // the terminal is gone; there is nowhere left to say so
}

// ms rounds to a tenth of a millisecond.
func ms(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
