package webhooks

import (
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// verdict is what admission says of an object: what is refused, and what the user is told besides.
type verdict struct {
	errs     field.ErrorList
	warnings admission.Warnings
}

// since leaves out what was as bad before, so that an object which is stored stays changeable, and what was said before.
func (v verdict) since(before verdict) verdict {
	known := make([]string, 0, len(before.errs))
	for _, err := range before.errs {
		known = append(known, err.Error())
	}
	return verdict{
		errs: slices.DeleteFunc(slices.Clone(v.errs), func(err *field.Error) bool { return slices.Contains(known, err.Error()) }),
		warnings: slices.DeleteFunc(slices.Clone(v.warnings), func(text string) bool {
			return slices.Contains(before.warnings, text)
		}),
	}
}

// answer is the verdict as the API server takes it: all field errors at once.
func (v verdict) answer(kind, name string) (admission.Warnings, error) {
	if len(v.errs) == 0 {
		return v.warnings, nil
	}
	return v.warnings, apierrors.NewInvalid(groupKind(kind), name, v.errs)
}
