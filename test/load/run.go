package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Plan is what is measured, and with how many machines.
type Plan struct {
	// Lives, StaticIP, Added, Memory and Outage are numbers of machines.
	Lives, StaticIP, Added, Memory, Outage []int
	// Speed is how much faster than the clock MAAS's time runs where counts matter, AddedSpeed where times do.
	Speed, AddedSpeed float64
	// Progress is told of what begins and of what was measured.
	Progress io.Writer
}

// Run is all that was measured.
type Run struct {
	Lives  []Figures
	Added  []Added
	Memory []Memory
	Outage []Outage
}

// Measure measures everything of a plan, one after the other.
func Measure(ctx context.Context, o Options, plan Plan) (run Run, err error) {
	step := func(what string, counts []int, speed float64, do func(Options) (fmt.Stringer, error)) {
		for _, count := range counts {
			if err != nil {
				return
			}
			one := o
			one.Machines, one.Speed = count, speed
			fmt.Fprintf(plan.Progress, "%s %s, %d machines\n", now().Format(time.TimeOnly), what, count)
			var told fmt.Stringer
			told, err = do(one)
			fmt.Fprintln(plan.Progress, told)
		}
	}
	step("memory", plan.Memory, 1, func(one Options) (fmt.Stringer, error) {
		m, err := MeasureMemory(ctx, one)
		run.Memory = append(run.Memory, m)
		return m, err
	})
	step("lives", plan.Lives, plan.Speed, func(one Options) (fmt.Stringer, error) {
		f, err := on(ctx, one, func(f *Fleet) (Figures, error) { return f.Measure(ctx) })
		run.Lives = append(run.Lives, f)
		return f, err
	})
	step("lives with fixed addresses", plan.StaticIP, plan.Speed, func(one Options) (fmt.Stringer, error) {
		one.StaticIP = true
		f, err := on(ctx, one, func(f *Fleet) (Figures, error) { return f.MeasureLives(ctx) })
		run.Lives = append(run.Lives, f)
		return f, err
	})
	step("time added", plan.Added, plan.AddedSpeed, func(one Options) (fmt.Stringer, error) {
		a, err := MeasureAdded(ctx, one)
		run.Added = append(run.Added, a)
		return a, err
	})
	step("outage", plan.Outage, plan.Speed, func(one Options) (fmt.Stringer, error) {
		out, err := on(ctx, one, func(f *Fleet) (Outage, error) { return f.Outlive(ctx) })
		run.Outage = append(run.Outage, out)
		return out, err
	})
	return run, err
}

// on starts a fleet for something and closes it.
func on[T any](ctx context.Context, o Options, do func(*Fleet) (T, error)) (value T, err error) {
	f, err := Start(ctx, o)
	if err == nil {
		value, err = do(f)
	}
	return value, errors.Join(err, f.Close())
}
