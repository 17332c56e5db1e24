package webhooks

import (
	"context"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	infrav1 "github.com/capmaas/capmaas/api/v1beta1"
)

// Defaults are written once, at creation: a MaasMachine stays what it is.
// +kubebuilder:webhook:path=/mutate-infrastructure-cluster-x-k8s-io-v1beta1-maasmachine,mutating=true,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,groups=infrastructure.cluster.x-k8s.io,resources=maasmachines,verbs=create,versions=v1beta1,name=mmaasmachine.kb.io,admissionReviewVersions=v1
// +kubebuilder:webhook:path=/validate-infrastructure-cluster-x-k8s-io-v1beta1-maasmachine,mutating=false,failurePolicy=fail,matchPolicy=Equivalent,sideEffects=None,groups=infrastructure.cluster.x-k8s.io,resources=maasmachines,verbs=create;update,versions=v1beta1,name=vmaasmachine.kb.io,admissionReviewVersions=v1,patch=`{"matchConditions":[{"name":"spec-changes","expression":"request.operation != 'UPDATE' || object.?spec != oldObject.?spec"}]}`

// MaasMachine is the admission of MaasMachines.
type MaasMachine struct {
	// Reader lists the MaasMachines that hold addresses.
	Reader client.Reader
}

// Default writes the mode where it is left out, and in its one spelling. It heals no contradiction and no unknown word. It writes no sizes: Shape says what a VM gets where the spec says nothing, with
// or without a webhook, and status says what it got.
func (*MaasMachine) Default(_ context.Context, m *infrav1.MaasMachine) error {
	if given := m.Spec.ProvisioningMode; given == "" {
		m.Spec.ProvisioningMode = m.Spec.Mode()
	} else if given == infrav1.ModeBareMetalAlias {
		m.Spec.ProvisioningMode = infrav1.ModeBareMetal
	}
	return nil
}

// ValidateCreate says whether a MaasMachine may be made.
func (w *MaasMachine) ValidateCreate(ctx context.Context, m *infrav1.MaasMachine) (admission.Warnings, error) {
	v := judgeMachine(&m.Spec)
	w.checkTaken(ctx, m, &v)
	return v.answer("MaasMachine", m.Name)
}

// ValidateUpdate says whether a MaasMachine may be changed.
func (w *MaasMachine) ValidateUpdate(ctx context.Context, before, m *infrav1.MaasMachine) (admission.Warnings, error) {
	v := judgeMachine(&m.Spec).since(judgeMachine(&before.Spec))
	at := field.NewPath("spec")
	for _, path := range changed(&before.Spec, &m.Spec, at, fixedParts, modePart) {
		v.errs = append(v.errs, field.Forbidden(path, "cannot be changed: a machine stays what it is; delete its Machine to have another"))
	}
	if ptr.Deref(before.Spec.ProviderID, "") != "" {
		for _, path := range changed(&before.Spec, &m.Spec, at, lxdConfigPart, looseParts) {
			v.errs = append(v.errs, field.Forbidden(path, "cannot be changed once the machine is deployed: delete its Machine to have it made anew"))
		}
	}
	if addressOf(&before.Spec) != addressOf(&m.Spec) {
		w.checkTaken(ctx, m, &v)
	}
	return v.answer("MaasMachine", m.Name)
}

// ValidateDelete refuses nothing.
func (*MaasMachine) ValidateDelete(context.Context, *infrav1.MaasMachine) (admission.Warnings, error) {
	return nil, nil
}

func judgeMachine(spec *infrav1.MaasMachineSpec) verdict {
	at := field.NewPath("spec")
	return verdict{errs: checkSpec(spec, at), warnings: unheard(spec, at)}
}
