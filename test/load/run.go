package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Plan is what is measured, and with how many machines.
type Plan struct {
	// Lives, StaticIP, Rest, Added, Memory and Outage are numbers of machines.
	Lives, StaticIP, Rest, Added, Memory, Outage []int
	// RestSpeed is how much faster than the clock MAAS's time runs where little happens for long, AddedSpeed where times are
	// compared. Lives are counted at the clock's speed: a call's deadline, within which a manager asks for nothing else, does
	// not shrink with MAAS's time, and what would come together comes one after the other.
	RestSpeed, AddedSpeed float64
	// Progress is told of what begins and of what was measured.
	Progress io.Writer
}

// Run is all that was measured.
type Run struct {
	Lives  []Figures
	Rest   []Rest
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
	step("lives", plan.Lives, 1, func(one Options) (fmt.Stringer, error) {
		f, err := on(ctx, one, func(f *Fleet) (Figures, error) { return f.MeasureLives(ctx) })
		run.Lives = append(run.Lives, f)
		return f, err
	})
	step("lives with fixed addresses", plan.StaticIP, 1, func(one Options) (fmt.Stringer, error) {
		one.StaticIP = true
		f, err := on(ctx, one, func(f *Fleet) (Figures, error) { return f.MeasureLives(ctx) })
		run.Lives = append(run.Lives, f)
		return f, err
	})
	step("rest", plan.Rest, plan.RestSpeed, func(one Options) (fmt.Stringer, error) {
		rest, err := on(ctx, one, func(f *Fleet) (Rest, error) {
			rest, lives, err := f.MeasureRest(ctx)
			if !slices.Contains(plan.Lives, lives.Machines) {
				run.Lives = append(run.Lives, lives)
			}
			return rest, err
		})
		run.Rest = append(run.Rest, rest)
		return rest, err
	})
	step("time added", plan.Added, plan.AddedSpeed, func(one Options) (fmt.Stringer, error) {
		a, err := MeasureAdded(ctx, one)
		run.Added = append(run.Added, a)
		return a, err
	})
	step("outage", plan.Outage, plan.RestSpeed, func(one Options) (fmt.Stringer, error) {
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
