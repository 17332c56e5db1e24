package fault

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// maxDraw bounds what a distribution with a long tail may give.
const maxDraw = 24 * time.Hour

// Shape is a kind of distribution.
type Shape string

// The shapes. Spread.A and Spread.B are their parameters.
const (
	Uniform     Shape = "uniform"     // between A and B
	Normal      Shape = "normal"      // around A, standard deviation B, never below 0
	Exponential Shape = "exponential" // A on average
	Pareto      Shape = "pareto"      // A at least, with a long tail: the smaller Tail, the longer; its mean is A·Tail/(Tail-1)
)

// Spread is a distribution of latencies, written "uniform:10ms:50ms", "normal:100ms:20ms", "exponential:80ms" or "pareto:50ms:1.5".
type Spread struct {
	Shape Shape
	A, B  time.Duration
	Tail  float64 // of Pareto
}

// String writes the distribution as ParseLatency reads it; it is empty for none.
func (s Spread) String() string {
	switch s.Shape {
	case Uniform, Normal:
		return fmt.Sprintf("%s:%s:%s", s.Shape, s.A, s.B)
	case Exponential:
		return fmt.Sprintf("%s:%s", s.Shape, s.A)
	case Pareto:
		return fmt.Sprintf("%s:%s:%g", s.Shape, s.A, s.Tail)
	default:
		return ""
	}
}

// ParseLatency reads a duration such as "1.5s", or a distribution.
func ParseLatency(text string) (time.Duration, Spread, error) {
	parts := strings.Split(text, ":")
	if len(parts) == 1 {
		d, err := time.ParseDuration(text)
		return d, Spread{}, err
	}
	s := Spread{Shape: Shape(parts[0])}
	want := map[Shape]int{Uniform: 3, Normal: 3, Exponential: 2, Pareto: 3}[s.Shape]
	if want == 0 {
		return 0, s, fmt.Errorf("unknown distribution %q: want uniform, normal, exponential or pareto", parts[0])
	}
	if len(parts) != want {
		return 0, s, fmt.Errorf("distribution %q: want %d parameters", text, want-1)
	}
	var err error
	if s.A, err = time.ParseDuration(parts[1]); err != nil {
		return 0, s, err
	}
	switch {
	case s.Shape == Pareto:
		s.Tail, err = strconv.ParseFloat(parts[2], 64)
	case want == 3:
		s.B, err = time.ParseDuration(parts[2])
	}
	return 0, s, err
}

func (s Spread) validate() error {
	switch s.Shape {
	case "":
		return nil
	case Uniform:
		if s.A < 0 || s.B <= s.A {
			return errors.New("a uniform distribution needs a minimum and a maximum above it")
		}
	case Normal, Exponential:
		if s.A <= 0 || s.B < 0 {
			return fmt.Errorf("the distribution %q needs a mean above 0", s.Shape)
		}
	case Pareto:
		if s.A <= 0 || s.Tail <= 0 {
			return errors.New("a pareto distribution needs a minimum and a tail above 0")
		}
	default:
		return fmt.Errorf("unknown distribution %q", s.Shape)
	}
	return nil
}

func (s Spread) draw(random *rand.Rand) time.Duration {
	value := 0.0
	switch s.Shape {
	case Uniform:
		value = float64(s.A) + random.Float64()*float64(s.B-s.A)
	case Normal:
		value = float64(s.A) + random.NormFloat64()*float64(s.B)
	case Exponential:
		value = random.ExpFloat64() * float64(s.A)
	case Pareto:
		value = float64(s.A) / math.Pow(1-random.Float64(), 1/s.Tail)
	}
	return time.Duration(min(max(value, 0), float64(maxDraw)))
}
